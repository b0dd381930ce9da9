"""``python -m tissu_core.parallel.launch N FOLDER COMMAND...``: N processes, by torch's launcher.

It starts them, waits, and ends all once one has failed; each one's stderr goes to a file in FOLDER.
What they print passes through, and one line of JSON more says which failed.
"""

import json
import sys

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch


def main() -> None:
    """Run to the end of all; exits with 1 if one failed."""
    number, folder, *command = sys.argv[1:]
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=int(number),
        run_id="tissu",
        rdzv_backend="c10d",
        rdzv_endpoint="127.0.0.1:0",  # a port that is free
        local_addr="127.0.0.1",
        max_restarts=0,
        monitor_interval=0.2,
        logs_specs=DefaultLogsSpecs(log_dir=folder, redirects=Std.ERR),
    )
    try:
        elastic_launch(config, command[0])(*command[1:])
    except ChildFailedError as error:
        failed = [
            {"rank": rank, "pid": failure.pid, "code": failure.exitcode}
            for rank, failure in error.failures.items()
        ]
        sys.stdout.write(json.dumps({"failed": failed}) + "\n")
        sys.stdout.flush()
        sys.exit(1)


if __name__ == "__main__":
    main()
