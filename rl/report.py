"""`python -m rl.report RUN…`: one self-contained HTML file about runs; with --serve, a live page while they train."""

from collections.abc import Callable
from pathlib import Path

from agents.settings.values import ConfigError
from agents.writing import write_text
from rl.experiments.lines import lines_of
from rl.experiments.report.content import content
from rl.experiments.report.curves import Plain
from rl.experiments.report.page import html
from rl.experiments.report.serving import server
from rl.run.signals import Terminated
from rl.run.terminal import DONE, Parser, at_least, file_path, run


def main(argv: list[str]) -> int:
    parser = Parser(
        prog="rl.report", description="Write a report on runs of one environment: one HTML file, no network."
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run directory, or a folder of them")
    parser.add_argument("--out", type=file_path, metavar="FILE", help="(report.html)")
    parser.add_argument(
        "--film", type=Path, metavar="FILE", help="MP4 or GIF to show (default: the newest in the runs)"
    )
    parser.add_argument(
        "--serve", type=at_least(0, 65_535), nargs="?", const=8000, metavar="PORT",
        help="serve the report on this machine instead, live, until Ctrl-C (8000; 0: a free port)",
    )  # fmt: skip
    args = parser.parse_args(argv)
    if args.serve is not None and args.out is not None:
        parser.error("--serve writes no file: leave --out out")
    out: Path = args.out or Path("report.html")
    if out.suffix not in (".html", ".htm"):
        raise ConfigError(f"--out must end in .html, got {out}")

    def newest() -> Plain:
        return content(lines_of(args.runs), args.film)

    if args.serve is not None:
        newest()  # raises on a mistake before the server starts
        return _serve(newest, args.serve)
    found = newest()
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, html(found))
    if found["note"]:
        print(found["note"])
    print(f"{found['title']}, {found['subtitle']}: written to {out}, {out.stat().st_size:,} bytes")
    return DONE


def _serve(newest: Callable[[], Plain], port: int) -> int:
    """Serves until Ctrl-C, which is the usual end. Raises Terminated after SIGTERM."""
    with server(newest, port) as serving:
        try:
            print(f"http://127.0.0.1:{serving.server_port}/ until Ctrl-C", flush=True)
            serving.serve_forever()
        except Terminated:
            raise
        except KeyboardInterrupt:
            return DONE
    return DONE


if __name__ == "__main__":
    run(main)
