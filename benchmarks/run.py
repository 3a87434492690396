"""Run: every case beside Hugging Face's, then the table in README.md.

python benchmarks/run.py                 all cases, seven pairs each
python benchmarks/run.py front_end -n 3  one case, three pairs; README.md stays as it is
"""

import argparse
import os
import platform
import re
from datetime import date
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import transformers
from cases import CASES
from measure import matrix_rate
from tqdm import tqdm

README = Path(__file__).parent / "README.md"
HEAD = (
    "| what | ours | Hugging Face | ratio (range over the pairs) | target | share of matrix rate |\n" + "|---" * 6 + "|"
)


def run(cases, runs: int) -> list[str]:
    """The table's lines; the matrix rate is taken before and after each case, for this machine drifts."""
    lines = []
    for case in tqdm(cases, desc="cases", unit="case"):
        before = matrix_rate()
        rows = case(runs)
        rate = (before + matrix_rate()) / 2
        for row in rows:
            share = f"{row['operations'] / row['seconds'] / rate:.0%}" if row["operations"] else ""
            lines.append(
                f"| {row['what']} | {row['ours']} | {row['theirs']} | {row['ratio']} | {row['target']} | {share} |"
            )
            tqdm.write(lines[-1])
    return lines


def machine() -> str:
    names = (
        re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text()) if Path("/proc/cpuinfo").exists() else []
    )
    chip = names[0] if names else platform.processor() or platform.machine()
    return (
        f"{chip}, {torch.get_num_threads()} threads, {matrix_rate() / 1e9:.0f} billion operations per second in a "
        f"2048 x 2048 `torch.mm`; Python {platform.python_version()}, torch {torch.__version__}, "
        f"transformers {transformers.__version__}; {date.today()}."
    )


def write(lines: list[str]) -> None:
    """Put the table between README.md's markers."""
    text = README.read_text(encoding="utf-8")
    begin, end = "<!-- table -->", "<!-- end of table -->"
    before, after = text.split(begin)[0], text.split(end)[1]
    README.write_text(
        before + begin + "\n" + "\n".join([machine(), "", HEAD, *lines]) + "\n" + end + after, encoding="utf-8"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", help=f"out of {', '.join(case.__name__ for case in CASES)}; all if none")
    parser.add_argument("-n", "--runs", type=int, default=7, help="pairs to time (default 7)")
    asked = parser.parse_args()
    unknown = set(asked.cases) - {case.__name__ for case in CASES}
    if unknown:
        parser.error(f"expected cases out of {', '.join(case.__name__ for case in CASES)}, found {', '.join(unknown)}")
    lines = run([case for case in CASES if not asked.cases or case.__name__ in asked.cases], asked.runs)
    if not asked.cases:
        write(lines)


if __name__ == "__main__":
    main()
