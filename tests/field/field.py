"""What the tests of field cases share: a healthy data set that is made here (standard library alone), the tools, and checks.

The data set has four pictures of 96 x 64 with three rectangles each, in two categories; `results()` has for each a mask that
is shifted by a pixel or two. Their AP by pycocotools 2.0.11 (segm) is AP.
"""
import contextlib
import copy
import json
import os
import struct
import subprocess
import sys
import tempfile
import zlib

HEIGHT, WIDTH = 64, 96
AP = 0.730776
EXPECTED = ['undefined', 'cached with another annotations file']  # sizes without objects; features of the healthy file
CONFIG = {
    'seed': 0,
    'input': {'short_side': [64], 'long_side': 96},
    'model': {'name': 'solov2', 'backbone': {'name': 'resnet10', 'width': 8, 'norm': 'batch', 'freeze': 0}, 'channels': 16,
              'head_channels': 16, 'head_convs': 1, 'mask_channels': 16, 'embedding': 16, 'groups': 4, 'grids': [8, 8, 6, 4, 4],
              'scales': [1, 32, 16, 64, 32, 96, 64, 128, 96, 2048], 'score_threshold': 0.001, 'update_threshold': 0.0001},
    'cache': {'views': 1},
    'mine': {'negatives_per_instance': 2, 'scenes_per_image': 2},
    'train': {'steps': 2, 'batch': 2, 'pairs': False, 'optimizer': 'adamw', 'lr': 0.002, 'warmup': 1, 'checkpoint_every': 1},
    'uniq': {'inter_weight': 0, 'equi_weight': 0},
}


def boxes(image):
    """[x, y, width, height] of the objects of image 1, 2, ..."""
    return [[2 + 2 * image, 4, 20, 30], [34, 10 + image, 24, 28], [64, 4 * image, 26, 20]]


def polygon(box):
    x, y, w, h = box
    return [x, y, x + w, y, x + w, y + h, x, y + h]


def runs(box, height=HEIGHT, width=WIDTH):
    """Run lengths of a box, column by column."""
    x, y, w, h = box
    return [x * height + y] + [h, height - h] * (w - 1) + [h, height * width - (x + w - 1) * height - y - h]


def packed(counts):
    """Run lengths as COCO's string."""
    text = ''
    for i, count in enumerate(counts):
        value, more = count - counts[i - 2] if i > 2 else count, True
        while more:
            bits, value = value & 31, value >> 5
            more = value != (-1 if bits & 16 else 0)
            text += chr(48 + (bits | 32 if more else bits))
    return text


def dataset():
    annotations = [{'id': 3 * image + k - 2, 'image_id': image, 'category_id': 1 + k % 2, 'iscrowd': 0, 'area': box[2] * box[3],
                    'bbox': box, 'segmentation': [polygon(box)]} for image in range(1, 5) for k, box in enumerate(boxes(image))]
    return {'images': [{'id': i, 'file_name': f'img{i}.png', 'height': HEIGHT, 'width': WIDTH} for i in range(1, 5)],
            'categories': [{'id': 1, 'name': 'brick'}, {'id': 2, 'name': 'tile'}], 'annotations': annotations}


def results():
    out = []
    for one in dataset()['annotations']:
        x, y, w, h = one['bbox']
        box = [x + one['id'] % 3, y + one['id'] % 2, w, h]
        out.append({'image_id': one['image_id'], 'category_id': one['category_id'], 'score': round(0.95 - 0.03 * one['id'], 2),
                    'bbox': box, 'segmentation': {'size': [HEIGHT, WIDTH], 'counts': packed(runs(box))}})
    return out


def png(pixels, height=HEIGHT, width=WIDTH, depth=8, kind=2):
    """A PNG file of bytes, rows from the top; kind 2 is RGB, 0 grey."""
    per_row = width * (3 if kind == 2 else 1) * depth // 8
    rows = b''.join(b'\0' + pixels[i * per_row:(i + 1) * per_row] for i in range(height))

    def chunk(name, data):
        return struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))

    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, depth, kind, 0, 0, 0)) +
            chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b''))


def picture(image):
    pixels = bytearray(b'\x28\x50\x3c' * (HEIGHT * WIDTH))
    for k, (x, y, w, h) in enumerate(boxes(image)):
        for row in range(y, y + h):
            at = 3 * (row * WIDTH + x)
            pixels[at:at + 3 * w] = bytes((200 - 60 * k, 40 + 30 * image, 90 + 70 * k)) * w
    return png(bytes(pixels))


class Field:
    """A folder with the healthy data set, the tools and a count of failures."""

    def __init__(self, tools):
        self.environment = dict(os.environ, PATH=f'{os.path.abspath(tools)}:{os.environ["PATH"]}', OMP_WAIT_POLICY='PASSIVE',
                                NO_COLOR='1', LC_ALL='C')
        self.checks = self.failures = 0
        self.done = None  # the latest run

    def make(self, folder):
        os.chdir(folder)
        os.mkdir('images')
        for i in range(1, 5):
            with open(f'images/img{i}.png', 'wb') as file:
                file.write(picture(i))
        self.write('config.json', CONFIG)
        self.write('healthy.json', dataset())
        self.write('results.json', results())

    @staticmethod
    def write(path, value):
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        with open(path, 'wb') as file:
            file.write(data)
        return path

    def check(self, holds, what):
        self.checks += 1
        if holds:
            return
        self.failures += 1
        print(f'FAILED: {what}')
        if self.done:
            print(f'  {" ".join(self.done.args)}: exit {self.done.returncode}\n  ' + self.done.stderr.replace('\n', '\n  '))

    def expect(self, code, words, *command):
        """The command exits with `code`; its messages have each of `words`, and, where these are '', no warning and no error."""
        self.done = subprocess.run([str(part) for part in command], env=self.environment, capture_output=True, text=True)
        self.check(self.done.returncode == code, f'exit code {code}')
        for word in [words] if isinstance(words, str) else words:
            self.check(word in self.done.stderr, f'it says: {word}')
        if words == '':
            said = [line for line in self.done.stderr.splitlines() if ('warning:' in line or 'error:' in line) and
                    not any(word in line for word in EXPECTED)]
            self.check(not said, f'it has nothing to say: {said}')
        return self.done

    def train(self, code, words, annotations, *more, images='images'):
        self.expect(code, words, 'iuq-train', '-q', '-f', '-c', 'config.json', '--annotations', annotations, '--images', images,
                    '--threads', '1', '-o', 'run', *more)
        self.check((code == 0) == os.path.exists('run/model.safetensors') or '-n' in more, 'a model if and only if all is well')
        subprocess.run(['rm', '-rf', 'run'], check=True)

    def on(self, tool, code, words, annotations, *more):
        """cache, predict or mine, with the model of `prepare`."""
        source = ['--images', 'images'] + (['--features', 'features.h5', '-c', 'config.json'] if tool == 'mine' else [])
        if tool == 'cache':
            source += ['-c', 'config.json']
        output = {'cache': 'out.h5', 'mine': 'out.negatives.h5', 'predict': 'out.json'}[tool]
        self.expect(code, words, f'iuq-{tool}', '-q', '-f', *source, '--annotations', annotations, '--model',
                    'base/model.safetensors', '--threads', '1', '-o', output, *more)
        self.check((code == 0) == os.path.exists(output), f'{output} if and only if all is well')
        value = None
        with contextlib.suppress(OSError, ValueError):
            if output == 'out.json':
                with open(output, encoding='utf-8') as file:
                    value = json.load(file)
            os.remove(output)
        return value

    def prepare(self, cached=True):
        subprocess.run(['iuq-train', '-q', '-c', 'config.json', '--set', 'train.steps=1', '--annotations', 'healthy.json', '--images',
                        'images', '--threads', '1', '-o', 'base'], env=self.environment, check=True)
        if cached:
            self.on('cache', 0, '', 'healthy.json')
            subprocess.run(['iuq-cache', '-q', '-c', 'config.json', '--annotations', 'healthy.json', '--images', 'images', '--model',
                            'base/model.safetensors', '--threads', '1', '-o', 'features.h5'], env=self.environment, check=True)

    def judge(self, code, words, annotations, results='results.json', *more, iou='segm', ap=None):
        """iuq-eval; `ap`: what the reference gives, to six places."""
        done = self.expect(code, words, 'iuq-eval', '-q', '--json', '--iou', iou, '--annotations', annotations, '--predictions',
                           results, '--threads', '1', *more)
        if ap is not None:
            found = json.loads(done.stdout)['stats']['AP'] if done.stdout else None
            self.check(found is not None and abs(found - ap) < 1e-6, f'AP is {found}, not {ap}')


def main(tools, body):
    field = Field(tools)
    with tempfile.TemporaryDirectory() as folder:
        field.make(folder)
        body(field)
        os.chdir('/')
    print(f'{field.checks} checks, {field.failures} failed')
    sys.exit(field.failures > 0 or field.checks == 0)


def changed(change, base=dataset):
    """A copy of the healthy data set after change(set)."""
    value = copy.deepcopy(base())
    change(value)
    return value
