"""Supervises the commands named as JSON on the command line; `run_group.py TIMEOUT_S JSON`.

JSON maps names to argument lists. Prints the children's pids and restarts whenever they change.
"""

import json
import sys

from boxoffice.platform.processes.supervisor import ProcessGroup


def main() -> None:
    """Ends when the group is stopped."""
    stop_timeout_s, commands = float(sys.argv[1]), json.loads(sys.argv[2])
    seen = ""
    with ProcessGroup(stop_timeout_s=stop_timeout_s, say=lambda line: None) as group:

        def report() -> None:
            nonlocal seen
            line = json.dumps({"pids": group.pids(), "restarts": group.restarts()})
            if line != seen:
                seen = line
                print(line, flush=True)

        for name, argv in commands.items():
            group.spawn(name, argv)
        group.run_until_stopped(on_tick=report)
    print(json.dumps({"stopped": True}), flush=True)


if __name__ == "__main__":
    main()
