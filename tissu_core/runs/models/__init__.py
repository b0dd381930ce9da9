"""What is done with whole models: kept, fetched, checked, averaged, made smaller."""
