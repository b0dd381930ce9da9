"""Models from elsewhere: what the network is asked, and what of its answers is taken."""
