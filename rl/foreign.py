"""`python -m rl.foreign`: trains environments of packages unknown to this project, beside random actions.

Writes results/foreign/foreign.md and foreign.json. The packages conflict, so no Python environment has all of them:
the command trains the environments of the installed packages and keeps the rows of the others.
"""

from agents.machine import machine
from agents.settings.schema import suggestion
from agents.settings.values import ConfigError
from rl.experiments.foreign.environments import FOREIGN
from rl.experiments.foreign.page import foreign_page, read_rows
from rl.experiments.foreign.training import try_out
from rl.run.terminal import DONE, Parser, run


def main(argv: list[str]) -> int:
    parser = Parser(prog="rl.foreign", description="Train environments of other packages, beside random actions.")
    parser.add_argument("--only", nargs="+", default=[], metavar="PACKAGE", help="packages (default: all installed)")
    parser.add_out()
    parser.add_results("foreign/")
    args = parser.parse_args(argv)
    known = sorted({each.package for each in FOREIGN})
    for name in args.only:
        if name not in known:
            raise ConfigError(f"--only: no package {name!r}{suggestion(name, known)}")
    path = args.results / "foreign" / "foreign"
    rows = read_rows(path)
    for each in FOREIGN:
        if each.version and (not args.only or each.package in args.only):
            print(f"{each.package} {each.env}", flush=True)
            rows[each.env] = try_out(each, args.out)
            foreign_page(parser.command(argv), machine(), rows).write(path)
            print(f"    {rows[each.env].outcome}: {rows[each.env].message}", flush=True)
    print(f"written to {path.parent}")
    return DONE


if __name__ == "__main__":
    run(main)
