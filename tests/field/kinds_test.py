#!/usr/bin/env python3
"""At least two inputs of each kind that other tools write, through all tools, liberally and strictly. KINDS.md lists the kinds
and where else each is tested.

    tests/field/kinds_test.py TOOLS     a folder of tools
"""
import gzip
import os
import shutil
import signal
import subprocess
import sys
import time

from field import AP, HEIGHT, WIDTH, changed, main, packed, picture, results, runs


def of_one(key, value, index=1):
    """A change: of one annotation."""
    def change(data):
        one = data['annotations'][index]
        one[key] = value(one) if callable(value) else value
    return change


def without(key, index=1):
    return lambda data: data['annotations'][index].pop(key)


def rle(one, counts=lambda one: runs(one['bbox'])):
    return {'size': [HEIGHT, WIDTH], 'counts': counts(one)}


def floats(one):
    return rle(one, lambda one: [float(run) for run in runs(one['bbox'])])


def ids(kind, section):
    def change(data):
        for one in data[section]:
            one['id'] = kind(one['id'])
        for one in data['annotations']:
            key = 'image_id' if section == 'images' else 'category_id'
            if section != 'annotations':
                one[key] = kind(one[key])
    return change


def name(index, value):
    return lambda data: data['categories'][index].update(name=value)


def listed(key, value):
    def change(data):
        data['images'][0][key] = value
    return change


def sizes(**values):
    def change(data):
        for one in data['images'][:2]:
            for key, value in values.items():
                one.pop(key) if value is None else one.update({key: value})
    return change


def no(count, words, what='annotation'):
    return f'{count} {what}{"s" if count > 1 else ""} of {count} image{"s" if count > 1 else ""} {words}'


ID2 = ' (id 2): '
# kind, change, what training says, what an evaluation says ('': nothing, None: that of training, with --images), AP by pycocotools
# 2.0.11 where it gives one. The kinds of boxes are judged by boxes, the others by masks.
ANNOTATIONS = [
    ('no mask', of_one('segmentation', []), no(1, 'without segmentation (id 2): they are left out'), 'without segmentation' + ID2, None),
    ('no mask', without('segmentation'), no(1, 'without segmentation (id 2): they are left out'), 'without segmentation' + ID2, None),
    ('no mask', of_one('segmentation', [[]]), no(1, 'without segmentation (id 2): they are left out'), 'without segmentation' + ID2, None),
    ('no polygon', of_one('segmentation', lambda a: [a['bbox']]), no(1, 'whose segmentation has no polygon'), 'no polygon of three points', None),
    ('no polygon', of_one('segmentation', [[1, 2], [9, 2], [9, 9]]), no(1, 'whose segmentation has no polygon'), 'no polygon', None),
    ('thin part', of_one('segmentation', lambda a: a['segmentation'] + [[1, 2]]), 'with a polygon of fewer than three points' + ID2,
     'that part covers nothing', AP),
    ('thin part', of_one('segmentation', lambda a: a['segmentation'] + [[1, 2, 3, 4]]), 'polygon of fewer than three points' + ID2,
     'that part covers nothing', AP),
    ('RLE in a list', of_one('segmentation', lambda a: [rle(a)]), '', '', AP),
    ('RLE in a list', of_one('segmentation', lambda a: [rle(a, lambda a: packed(runs(a['bbox'])))]), '', '', None),
    ('runs as floats', of_one('segmentation', floats), '', '', AP),
    ('runs as floats', of_one('segmentation', lambda a: dict(rle(a), size=[float(HEIGHT), float(WIDTH)])), '', '', None),
    ('ids as floats', ids(float, 'images'), '', '', AP),
    ('ids as floats', ids(float, 'categories'), '', '', AP),
    ('ids as floats', ids(float, 'annotations'), '', '', AP),
    ('names as numbers', name(0, 17), '', '', AP),
    ('names as numbers', name(1, 2.5), '', '', AP),
    ('iscrowd', without('iscrowd'), '', 'without iscrowd' + ID2 + 'it is 0', None),
    ('iscrowd', of_one('iscrowd', None), '', 'without iscrowd' + ID2 + 'it is 0', None),
    ('area', without('area'), '', 'without area' + ID2, None),
    ('area', of_one('area', None), '', 'without area' + ID2, None),
    ('negative area', of_one('area', -1), 'with an area of 0 or less' + ID2, 'with an area of 0 or less' + ID2, 0.718069),
    ('negative area', of_one('area', -0.5, 4), 'with an area of 0 or less (id 5)', 'with an area of 0 or less (id 5)', 0.737376),
    ('area of 0', of_one('area', 0), 'with an area of 0 or less' + ID2, '', None),
    ('area of 0', lambda data: [one.update(area=0.0) for one in data['annotations']], '12 annotations of 4 images with an area of 0', '', None),
    ('bbox', without('bbox'), '', 'without bbox' + ID2, None),
    ('bbox', of_one('bbox', None), '', 'without bbox' + ID2, None),
    ('bad bbox', of_one('bbox', []), 'with a bbox that is empty or of negative size' + ID2, 'without bbox' + ID2, None),
    ('bad bbox', of_one('bbox', [30, 20, -24, 28]), 'empty or of negative size' + ID2, 'empty or of negative size' + ID2, 0.583251),
    ('repeated id', of_one('id', 1), 'with the id of an earlier annotation (id 1): they are numbered anew', 'not to be trusted', 0.631291),
    ('repeated id', of_one('id', 12.0, 10), 'with the id of an earlier annotation (id 12)', 'not to be trusted', 0.688738),
    ('unknown image', of_one('image_id', 77), 'with an image_id that is not listed' + ID2, 'that is not listed' + ID2, None),
    ('unknown category', of_one('category_id', 0), 'with a category_id that is not listed' + ID2, 'that is not listed' + ID2, None),
    ('unknown listed', listed('neg_category_ids', [1, 9]), '1 image with unknown categories in neg_category_ids', '', AP),
    ('unknown listed', listed('not_exhaustive_category_ids', [0]), '1 image with unknown categories', '', AP),
    ('size', sizes(height=-1, width=-1), '2 images without height and width (ids 1, 2): they are read from the image files', None, None),
    ('size', sizes(height=0), '2 images without height and width', None, None),
    ('size', sizes(width=None), '2 images without height and width', None, None),
    ('NaN', lambda data: data.update(info={'version': float('nan')}), '', '', AP),
    ('NaN', of_one('attributes', {'score': [float('-inf'), 1]}), '', '', AP),
]
# --strict refuses these where training has nothing to say: what is no JSON, and what an evaluation alone asks for.
STRICT_TRAINING, SILENT_STRICT = {'NaN'}, {'unknown listed'}


def annotations(field):
    others = ['cache', 'predict', 'mine']
    for number, (kind, change, training, judging, ap) in enumerate(ANNOTATIONS):
        failed = field.failures
        path = field.write('odd.json', changed(change))
        strict = 0 if training == '' and kind not in STRICT_TRAINING else 65
        field.train(0, training, path, '-n')
        field.train(strict, '' if strict == 0 else 'odd.json', path, '-n', '--strict')
        field.on(others[number % 3], 0, training, path)
        if number % 3 != 1:
            field.on(others[number % 3], strict, '', path, '--strict') if strict == 0 else None
        if judging is None:
            for iou in 'segm', 'bbox':
                field.judge(0, training, path, 'results.json', '--images', 'images', iou=iou)
            field.check(field.done.stdout != '', 'a number')
            field.judge(65, 'odd.json', path, 'results.json', '--images', 'images', '--strict')
        else:
            iou = 'bbox' if 'bbox' in kind else 'segm'
            field.judge(0, judging, path, ap=ap, iou=iou)
            if iou == 'bbox':
                field.judge(0, '', path, 'results.json', '--strict', ap=AP)
            strict = 65 if judging or kind in STRICT_TRAINING else 0
            field.judge(strict, 'odd.json' if strict else '', path, 'results.json', '--strict', iou=iou)
        if field.failures > failed:
            print(f'^^ annotations: {kind}, input {number}')


def string_ids(field):
    for number, kind in enumerate((lambda i: f'frame_{i}', lambda i: f'{i:06}')):
        field.write('strings.json', changed(ids(kind, 'images')))
        field.write('string-results.json', changed(lambda found, kind=kind: [one.update(image_id=kind(one['image_id'])) for one in found], results))
        for strict in [], ['--strict']:
            field.train(0, '', 'strings.json', *strict)
            field.judge(0, '', 'strings.json', 'string-results.json', *strict, ap=AP)
        found = field.on('predict', 0, '', 'strings.json')
        field.check(found and {one['image_id'] for one in found} <= {kind(i) for i in range(1, 5)}, 'results keep the strings')
        field.on('cache', 0, '', 'strings.json')
        field.judge(65, '"image_id"' if number > 9 else 'its ids are numbers', 'healthy.json', 'string-results.json')
        field.write('broken.json', changed(lambda data: (ids(kind, 'images')(data), data['images'][1].update(file_name='gone.png'))))
        field.on('predict', 66, f'(image {kind(2)})', 'broken.json')


def images_alone(field):
    for change in lambda data: data.pop('annotations'), lambda data: (data.pop('annotations'), data['images'].pop()):
        field.write('alone.json', changed(change))
        for strict in [], ['--strict']:
            field.on('predict', 0, '', 'alone.json', *strict)
            field.on('cache', 0, '', 'alone.json', *strict)
            field.train(65, 'has images but no list "annotations"', 'alone.json', *strict)
            field.judge(65, 'has no list "annotations", only images', 'alone.json', 'results.json', *strict)


def other_categories(field):
    """Validation files with some of the model's categories, or others besides; a name that means another one is refused."""
    def only(index):
        def change(data):
            kept = data['categories'][index]
            data['categories'] = [kept]
            data['annotations'] = [one for one in data['annotations'] if one['category_id'] == kept['id']]
        return change
    for change in only(0), only(1), lambda data: data['categories'].append({'id': 7, 'name': 'door'}):
        field.write('some.json', changed(change))
        found = field.on('predict', 0, 'categor', 'some.json')
        field.check(found and {one['category_id'] for one in found} <= {1, 2}, "results are in the model's categories")
    for change in name(1, 'roof'), lambda data: [one.update(id=3 - one['id']) for one in data['categories']]:
        field.write('conflict.json', changed(change))
        field.on('predict', 65, 'tile', 'conflict.json')


def backslashes(field):
    for folder in 'sub', 'a/b':
        os.makedirs(f'images/{folder}')
        for i in range(1, 5):
            field.write(f'images/{folder}/img{i}.png', picture(i))
        backward = folder.replace('/', '\\')
        field.write('back.json', changed(lambda data, b=backward: [one.update(file_name=f'{b}\\{one["file_name"]}') for one in data['images']]))
        field.train(0, '4 images with backslashes in file_name', 'back.json', '-n')
        field.on('predict', 0, '4 images with backslashes', 'back.json')
        field.on('cache', 0, '4 images with backslashes', 'back.json')
        field.train(65, 'images[3].file_name has backslashes', 'back.json', '-n', '--strict')
        field.judge(0, '', 'back.json', 'results.json', '--strict', ap=AP)


def packed_files(field):
    """gzip, also under a name that does not say so."""
    for path in 'ann.json.gz', 'ann.json':
        for source, target in ('healthy.json', path), ('results.json', 'found-' + path):
            with open(source, 'rb') as plain:
                field.write(target, gzip.compress(plain.read()))
        field.train(0, '', path)
        for tool in 'cache', 'predict', 'mine':
            field.on(tool, 0, '', path, *(['--strict'] if tool != 'mine' else []))
        field.judge(0, '', path, 'found-' + path, ap=AP)
        for file in path, 'found-' + path:
            field.expect(0, '', 'iuq-info', '--check', file)


def bad_images(field):
    """Missing and truncated images are found before the first step, by -n too; --max-errors leaves them out."""
    whole = picture(3)
    for spoil, code, words in ((lambda: os.remove('images/img3.png'), 66, 'cannot open "images/img3.png"'),
                               (lambda: field.write('images/img3.png', whole[:len(whole) // 2]), 65, 'images/img3.png'),
                               (lambda: field.write('images/img3.png', b''), 65, 'images/img3.png')):
        spoil()
        words = ['1 of 4 images cannot be used', words, '--max-errors 1']
        for more in [], ['-n'], ['-n', '--strict']:
            field.train(code, words, 'healthy.json', *more)
        field.train(0, 'left out 1 of 4 images', 'healthy.json', '--max-errors', '1', '-n')
        for tool in 'cache', 'predict':
            field.on(tool, code, words, 'healthy.json')
            found = field.on(tool, 0, 'left out 1 of 4 images', 'healthy.json', '--max-errors', '1')
            field.check(tool == 'cache' or 3 not in {one['image_id'] for one in found}, 'nothing is found in what is left out')
        os.chmod('images', 0o755)
        field.write('images/img3.png', whole)
    for bad in 1, 2:
        shutil.copy(f'images/img{bad}.png', 'kept.png')
        os.remove(f'images/img{bad}.png')
        shutil.copy('features.h5', 'all.h5')
        done = field.expect(0, 'left out 1 of 4 images', 'iuq-cache', '-q', '-f', '-c', 'config.json', '--annotations', 'healthy.json', '--images', 'images',
                            '--model', 'base/model.safetensors', '--threads', '1', '-o', 'features.h5', '--max-errors', '1')
        field.check(done.returncode == 0, 'features of three images')
        field.on('mine', 65, 'max-errors 1', 'healthy.json')
        field.on('mine', 0, '1', 'healthy.json', '--max-errors', '1')
        shutil.move('all.h5', 'features.h5')
        shutil.move('kept.png', f'images/img{bad}.png')


def changed_images(field):
    """A run that was stopped, and an image that is then repaired, replaced or gone: --resume says so, --accept-changes goes on."""
    def start(*more):
        subprocess.run(['rm', '-rf', 'run'], check=True)
        command = ['iuq-train', '-q', '-c', 'config.json', '--set', 'train.steps=500', '--images', 'images', '--threads', '1', '-o', 'run',
                   '--annotations', 'healthy.json', *more]
        with subprocess.Popen(command, env=field.environment, stderr=subprocess.PIPE, text=True) as process:
            while not os.path.exists('run/checkpoints/step-00000002/DONE') and process.poll() is None:
                time.sleep(0.005)
            process.send_signal(signal.SIGTERM)
        field.check(process.returncode == 75, f'a run that is stopped exits 75, not {process.returncode}')
        return command + ['--resume']

    def resumed(command, words, expected):
        field.expect(73, [words, '--accept-changes'], *command)
        with subprocess.Popen([*command, '--accept-changes'], env=field.environment, stderr=subprocess.PIPE, text=True) as process:
            before = len(os.listdir('run/checkpoints'))
            deadline = time.time() + 60
            while sorted(os.listdir('run/checkpoints'))[-1] <= expected and time.time() < deadline and process.poll() is None:
                time.sleep(0.005)
            process.send_signal(signal.SIGTERM)
            said = process.stderr.read()
        field.check(process.returncode == 75 and before > 0, f'it goes on and can be stopped, exit {process.returncode}: {said}')
        field.check(f'going on although since the start of the run {words}' in said, f'it says what it goes on with: {said}')
        done = subprocess.run([*command, '-n'], env=field.environment, capture_output=True, text=True)
        field.check(done.returncode == 0, f'what is accepted once is not asked again: {done.stderr}')

    def latest():
        return sorted(os.listdir('run/checkpoints'))[-1]

    whole = picture(2)
    field.write('images/img2.png', whole[:-40])
    command = start('--max-errors', '1')
    field.write('images/img2.png', whole)
    resumed(command, '1 image is new (2)', latest())
    for image in 1, 4:
        command = start()
        field.write(f'images/img{image}.png', picture(5 - image))
        resumed(command, f'1 image has another file ({image})', latest())
        field.write(f'images/img{image}.png', picture(image))
    for index in 0, 3:
        command = start()
        kept = field.write('kept.json', changed(lambda data: None))
        field.write('healthy.json', changed(lambda data, index=index: data['images'].pop(index)))
        resumed(command, f'1 image is gone ({index + 1})', latest())
        shutil.move(kept, 'healthy.json')
    subprocess.run(['rm', '-rf', 'run'], check=True)


def words_of_the_evaluator(field):
    def judge(words, change, *more, ap=None, base=results, strict=65):
        field.write('found.json', changed(change, base))
        field.judge(0, words, 'healthy.json', 'found.json', *more, ap=ap)
        field.judge(strict, '', 'healthy.json', 'found.json', '--strict', *more) if strict == 0 else field.judge(
            strict, 'found.json', 'healthy.json', 'found.json', '--strict', *more)

    def every(key, value):
        return lambda found: [one.update({key: value(one)}) for one in found]

    judge('12 of 12 masks have another size', every('segmentation', lambda one: {'size': [HEIGHT // 2, WIDTH // 2], 'counts': [1536]}), ap=0)
    judge('3 of 12 masks have another size', lambda found: [one.update(segmentation={'size': [WIDTH, HEIGHT], 'counts': [6144]}) for one in found[:3]])
    judge('category_id', every('category_id', lambda one: one['category_id'] - 1))
    judge('category_id', every('category_id', lambda one: one['category_id'] + 80))
    for text in "b'PP4'", 'b"PP4"':
        field.write('found.json', changed(every('segmentation', lambda one, text=text: {'size': [HEIGHT, WIDTH], 'counts': text}), results))
        field.judge(65, 'text of Python bytes', 'healthy.json', 'found.json')
    field.judge(0, '', 'healthy.json', 'results.json', '--max-dets', '1,10,1500', ap=AP)
    for more in 1, 2:
        def crowded(data, more=more):
            data['annotations'] += [dict(one, id=one['id'] + 12 * k) for k in range(1, more + 1) for one in data['annotations'][:6]]
        field.write('many.json', changed(crowded))
        field.judge(0, 'cut', 'many.json', 'results.json', '--max-dets', '1,2,3')
    for value in [], [2]:
        def lvis(data, value=value):
            for one in data['images']:
                one.update(neg_category_ids=value, not_exhaustive_category_ids=[])
            for one in data['categories']:
                one.update(frequency='c')
        field.write('lvis.json', changed(lvis))
        field.judge(0, '', 'lvis.json', ap=AP)
        field.check('"protocol": "lvis"' in field.done.stdout, 'an LVIS file is judged as LVIS')
        field.judge(0, '', 'lvis.json', 'results.json', '--style', 'coco', ap=AP)
        field.check('"protocol": "coco"' in field.done.stdout, '--style rules')


PARTS = {'annotations': annotations, 'string_ids': string_ids, 'images_alone': images_alone, 'other_categories': other_categories, 'backslashes': backslashes,
         'packed_files': packed_files, 'bad_images': bad_images, 'changed_images': changed_images, 'words': words_of_the_evaluator}


def body(field):
    field.prepare()
    for title in sys.argv[2:] or PARTS:
        failed = field.failures
        PARTS[title](field)
        if field.failures > failed:
            print(f'^^ {title}')


if __name__ == '__main__':
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], body)
