#!/usr/bin/env python3
"""Breaks the code in small ways, one at a time, and tells which test notices.

usage: scripts/mutations.py --check           is every old text of the table still there, exactly once?
       scripts/mutations.py [NAME...]         build and test each break, or those named; what is recorded is skipped
       scripts/mutations.py --again [NAME...] do them again
       scripts/mutations.py --table           what is recorded, as a Markdown table
options: --build FOLDER (default build), --jobs N (compilers at once, default 1)

The breaks are listed in tests/mutations.txt, which says how. A break is made in the tree itself, in a file that has no
uncommitted changes, and taken back whatever happens; after a kill -9 the next call takes it back. Results are kept in
FOLDER/mutations.json. Exit code 1: a break was not caught, does not compile, or its old text is not there exactly once.
"""
import argparse
import hashlib
import json
import pathlib
import re
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLE = ROOT / "tests/mutations.txt"


class Break:
    """One entry of the table."""

    def __init__(self, name):
        self.name, self.fields, self.old, self.new = name, {}, [], []

    def pattern(self):
        words = " ".join(self.old).split()
        return re.compile(r"\s+".join(map(re.escape, words)))

    def key(self):
        text = json.dumps([self.old, self.new, self.fields.get("tests")])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_table():
    breaks = []
    for number, line in enumerate(TABLE.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("[") and line.endswith("]"):
            breaks.append(Break(line[1:-1]))
        elif line.startswith("- "):
            breaks[-1].old.append(line[2:])
        elif line.startswith("+ ") or line == "+":
            breaks[-1].new.append(line[2:])
        elif " = " in line:
            key, value = line.split(" = ", 1)
            breaks[-1].fields[key.strip()] = value.strip()
        else:
            sys.exit(f"{TABLE}:{number}: neither [name], key = value, - old nor + new")
    for b in breaks:
        if not b.old or not {"file", "breaks", "tests"} <= b.fields.keys():
            sys.exit(f"{TABLE}: [{b.name}] needs file, breaks, tests and old text")
    return breaks


def find(b):
    """(file, match) of the old text, or (None, why not). Code that moved to another file is found there."""
    named = ROOT / b.fields["file"]
    if named.exists():
        found = list(b.pattern().finditer(named.read_text()))
        if len(found) == 1:
            return named, found[0]
        if len(found) > 1:
            return None, f"is {len(found)} times in {b.fields['file']}"
    elsewhere = []
    for path in sorted((ROOT / "lib").rglob("*.cpp")) + sorted((ROOT / "lib").rglob("*.h")):
        elsewhere += [(path, m) for m in b.pattern().finditer(path.read_text())]
    if len(elsewhere) == 1:
        return elsewhere[0]
    where = ", ".join(sorted({str(p.relative_to(ROOT)) for p, _ in elsewhere}))
    return None, f"is {len(elsewhere)} times elsewhere: {where}" if elsewhere else "is NOT FOUND"


def check(breaks):
    failed = 0
    for b in breaks:
        path, found = find(b)
        if path is None:
            failed += 1
            print(f"{b.name}: its old text {found}:")
            print("".join(f"    {line}\n" for line in b.old), end="")
        elif path != ROOT / b.fields["file"]:
            print(f"{b.name}: moved from {b.fields['file']} to {path.relative_to(ROOT)}")
    print(f"{len(breaks)} breaks, {failed} to be rewritten in {TABLE.relative_to(ROOT)}")
    return failed == 0


class Mutant:
    """The tree with one break in it; whole again at the end. A note of what to put back lies in the build folder."""

    def __init__(self, note, path, text):
        self.note, self.path, self.text = note, path, text

    @staticmethod
    def restore(note):
        if note.exists():
            saved = json.loads(note.read_text())
            pathlib.Path(saved["path"]).write_text(saved["text"])
            note.unlink()

    def __enter__(self):
        saved = json.dumps({"path": str(self.path), "text": self.path.read_text()})
        self.note.write_text(saved)
        self.path.write_text(self.text)

    def __exit__(self, *_):
        self.restore(self.note)


def target_of(test):
    # Numbers of references are a CTest test of their own, of the same program.
    return "test_" + test.split(".")[1] if test.startswith("unit.") else "iuq_tools"


def output_of(command):
    done = subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout


def failed_case(log):
    """The first failed case that Catch names, or the first complaint of a shell test."""
    case = re.search(r"^-{70,}\n((?:[^-\n].*\n)+)-{70,}\n\S+:\d+", log, re.M)
    if case:
        return " ".join(case.group(1).split())
    said = re.search(r"^(FAILED: .*|\S+ differs .*)$", log, re.M)
    return said.group(1)[:100] if said else "crashed" if "Exception" in log or "SEGFAULT" in log else "failed"


def try_break(b, args):
    path, found = find(b)
    if path is None:
        return {"status": "stale", "why": f"its old text {found}"}
    name = str(path.relative_to(ROOT))
    if subprocess.run(["git", "diff", "--quiet", "HEAD", "--", name], cwd=ROOT, check=False).returncode != 0:
        sys.exit(f"{name} has uncommitted changes; commit them first")
    text = path.read_text()
    mutated = text[: found.start()] + "\n".join(b.new).strip() + text[found.end():]
    began = time.time()
    with Mutant(args.build / "mutations.note", path, mutated):
        for test in b.fields["tests"].split():
            code, log = output_of(["nice", "ninja", "-C", str(args.build), f"-j{args.jobs}", target_of(test)])
            if code != 0:
                return {"status": "does not compile", "why": log[-2000:], "file": name}
            code, log = output_of(["ctest", "--test-dir", str(args.build), "-R", f"^{re.escape(test)}$", "--no-tests=error",
                                   "--output-on-failure", "--timeout", "900"])
            if code != 0:
                return {"status": "caught", "test": test, "case": failed_case(log), "file": name,
                        "seconds": round(time.time() - began)}
    return {"status": "NOT CAUGHT", "file": name, "seconds": round(time.time() - began)}


def results_of(args):
    path = args.build / "mutations.json"
    return json.loads(path.read_text()) if path.exists() else {}


def run(breaks, args):
    results = results_of(args)
    commit = output_of(["git", "rev-parse", "--short", "HEAD"])[1].strip()
    # Breaks of one file together: what is taken back need not be compiled between them.
    for b in sorted(breaks, key=lambda b: b.fields["file"]):
        known = results.get(b.name, {})
        if not args.again and known.get("key") == b.key() and known.get("status") == "caught":
            continue
        result = try_break(b, args) | {"key": b.key(), "commit": commit}
        results[b.name] = result
        (args.build / "mutations.json").write_text(json.dumps(results, indent=1))
        print(f"{b.name}: {result['status']} {result.get('test', '')} {result.get('case', '')}{result.get('why', '')}", flush=True)
    return all(results.get(b.name, {}).get("status") == "caught" for b in breaks)


def table(breaks, args):
    results = results_of(args)
    print("| break | in | caught by |\n|---|---|---|")
    for b in breaks:
        result = results.get(b.name, {"status": "not run"})
        caught = f"`{result['test']}`: {result['case']}" if result["status"] == "caught" else f"**{result['status']}**"
        print(f"| {b.fields['breaks']} | {result.get('file', b.fields['file'])} | {caught} |")
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--build", default="build")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    args.build = (ROOT / args.build).resolve()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(75))
    Mutant.restore(args.build / "mutations.note")
    breaks = read_table()
    unknown = set(args.names) - {b.name for b in breaks}
    if unknown:
        sys.exit(f"the table has no {', '.join(sorted(unknown))}")
    if args.names:
        breaks = [b for b in breaks if b.name in args.names]
    ok = check(breaks) if args.check else table(breaks, args) if args.table else run(breaks, args)
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
