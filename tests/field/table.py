#!/usr/bin/env python3
"""What the tools say of files that other tools wrote: a Markdown table, a row for each file and tool, a column for each
folder of tools, so that two versions stand side by side ("-" where a folder lacks the tool). With pycocotools and lvis at hand a column has their AP.

    tests/field/table.py FIELD NAME=TOOLS [NAME=TOOLS ...]

FIELD has a folder for each case (*.json: annotations with "images", results lists), `base/` their healthy twin and `cfg.json`.
"""
import contextlib
import gzip
import io
import json
import os
import re
import subprocess
import sys
import tempfile

SECONDS = 120


def load(path):
    with (gzip.open if path.endswith('.gz') else open)(path, 'rt') as file:
        return json.load(file)


def reference(annotations, results, iou):
    """AP of the reference, or the exception it dies of; None where it is not installed."""
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError:
        return None
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            truth = COCO()
            truth.dataset = load(annotations)
            truth.createIndex()
            judge = COCOeval(truth, truth.loadRes(load(results)), iou)
            judge.evaluate()
            judge.accumulate()
            judge.summarize()
        return f'{judge.stats[0]:.6f}'
    except Exception as error:  # whatever it is, it is what a user would see
        return f'{type(error).__name__}: {error}'[:60]


def said(done):
    """Exit code, and the number or the first line that matters."""
    lines = done.stderr.splitlines()
    notable = [re.sub(r'^\S+ (\S+: )?', '', line) for line in lines if 'warning: ' in line or 'error: ' in line]
    text = ' / '.join(notable)
    return text.replace('|', '\\|')


def run(tools, arguments, work):
    if not os.path.exists(os.path.join(tools, arguments[0])):
        return None
    environment = dict(os.environ, PATH=f'{tools}:{os.environ["PATH"]}', OMP_WAIT_POLICY='PASSIVE')
    try:
        return subprocess.run(arguments, cwd=work, env=environment, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(arguments, 124, '', 'error: took too long')


class Tools:
    """One folder of tools, with a model trained on the healthy twin."""

    def __init__(self, folder, field, work):
        self.folder, self.field, self.work = os.path.abspath(folder), field, work
        os.makedirs(work, exist_ok=True)
        self.config = os.path.join(field, 'cfg.json')
        done = self.train(f'{field}/base/ann.json', f'{field}/base/images', 'base')
        self.model = f'{work}/base/model.safetensors'
        if done and done.returncode != 0:
            sys.exit(f'the healthy twin does not train: {done.stderr}')

    def train(self, annotations, images, output='run'):
        return run(self.folder, ['iuq-train', '-q', '-f', '-c', self.config, '--set', 'train.steps=2', '--annotations', annotations,
                                 '--images', images, '--threads', '1', '-o', output], self.work)

    def cache(self, annotations, images):
        return run(self.folder, ['iuq-cache', '-q', '-f', '-c', self.config, '--annotations', annotations, '--images', images,
                                 '--model', self.model, '--threads', '1', '-o', 'features.h5'], self.work)

    def predict(self, annotations, images):
        return run(self.folder, ['iuq-predict', '-q', '-f', '--annotations', annotations, '--images', images, '--model', self.model,
                                 '--threads', '1', '-o', 'results.json'], self.work)

    def evaluate(self, annotations, results, iou, more=()):
        done = run(self.folder, ['iuq-eval', '-q', '--json', '--iou', iou, '--annotations', annotations, '--predictions', results,
                                 '--threads', '1', *more], self.work)
        with contextlib.suppress(AttributeError, ValueError, KeyError):
            done.stderr = f'AP {json.loads(done.stdout)["stats"]["AP"]:.6f}\n' + done.stderr
        return done

    def info(self, path):
        return run(self.folder, ['iuq-info', '--check', path], self.work)


def cell(done):
    if done is None:  # the folder has no such tool
        return '-'
    value = done.stderr.splitlines()[0] + ' ' if done.stderr.startswith('AP ') else ''
    return f'{done.returncode} {value}{said(done)}'.strip()


def is_results(path):
    return isinstance(load(path), list)


def cases(field):
    """(case, annotations, images, list of results)"""
    for case in sorted(os.listdir(field)):
        folder = os.path.join(field, case)
        if not os.path.isdir(folder) or case.startswith(('20', '30')):  # weights and images have tests of their own
            continue
        files = [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(('.json', '.json.gz'))]
        results = [path for path in files if is_results(path)]
        for path in files:
            if path not in results:
                stems = [r for r in results if os.path.basename(r).startswith('stem')]
                mine = stems if 'stem' in os.path.basename(path) else [r for r in results if r not in stems]
                yield case, path, os.path.join(folder, 'images'), mine


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    field = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as work:
        columns = [pair.split('=', 1) for pair in sys.argv[2:]]
        tools = [Tools(folder, field, os.path.join(work, name)) for name, folder in columns]
        print('| case | tool | ' + ' | '.join(name for name, _ in columns) + ' | reference |')
        print('|---' * (3 + len(columns)) + '|')

        def row(path, tool, call, peer=''):
            print(f'| {os.path.relpath(path, field)} | {tool} | ' + ' | '.join(cell(call(t)) for t in tools) + f' | {peer or ""} |',
                  flush=True)

        for _, path, images, results in cases(field):
            for tool in ('train', 'cache', 'predict'):
                row(path, tool, lambda t, tool=tool: getattr(t, tool)(path, images))
            row(path, 'info', lambda t: t.info(path))
            for result in results:
                for iou in ('segm', 'bbox'):
                    row(path, f'eval {iou} {os.path.basename(result)}', lambda t, r=result, i=iou: t.evaluate(path, r, i),
                        reference(path, result, iou))
            for result in results if 'many' in path else []:
                row(path, 'eval segm 1,10,1500', lambda t, r=result: t.evaluate(path, r, 'segm', ['--max-dets', '1,10,1500']))


if __name__ == '__main__':
    main()
