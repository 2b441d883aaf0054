#!/usr/bin/env python3
"""What users of other tools reported in public, tried as they would: THREADS.md says what each is about and what was mended.

    tests/field/threads_test.py TOOLS     a folder of tools
"""
import os
import sys

from field import AP, HEIGHT, WIDTH, changed, dataset, main, picture, png, polygon, results, runs


def each_annotation(key, value):
    """A change: `key` of each annotation becomes value(annotation)."""
    def change(data):
        for one in data['annotations']:
            one[key] = value(one)
    return change


def each_image(**values):
    def change(data):
        for one in data['images']:
            for key, value in values.items():
                one[key] = value(one)
    return change


def names_of_another_folder(field):
    """HumanSignal/label-studio#7294, label-studio-converter#139: file_name climbs out of the export."""
    climbing = field.write('climbing.json', changed(each_image(file_name=lambda i: '..\\..\\label-studio\\media\\upload\\4\\' + i['file_name'])))
    inner = field.write('inner.json', changed(each_image(file_name=lambda i: 'images\\1/' + i['file_name'])))
    for path in climbing, inner:
        for strict in [], ['--strict']:
            field.train(66, ['4 of 4 images', 'there is "images/img1.png"', 'path below --images'], path, *strict)
        field.on('predict', 66, 'there is "images/img1.png"', path)
        field.judge(0, '', path, ap=AP)
    field.write('inner-as-file.json', changed(each_image(file_name=lambda i: 'sub\\' + i['file_name'])))
    os.mkdir('images/sub')
    for i in range(1, 5):
        field.write(f'images/sub/img{i}.png', picture(i))
    field.train(0, '4 images with backslashes in file_name', 'inner-as-file.json')


def other_case(field):
    """njvisionpower/Safety-Helmet-Wearing-Dataset#22 (MMDetection), datumaro#151: IMG.PNG in the file, img.png on the disk."""
    for name in str.upper, lambda text: text.replace('.png', '.jpg'):
        field.write('case.json', changed(each_image(file_name=lambda i, name=name: name(i['file_name']))))
        field.train(66, ['there is "images/img1.png"', 'letter by letter'], 'case.json', '-n')
    field.write('images/img9.txt', b'no image')
    field.write('case.json', changed(each_image(file_name=lambda i: 'img9.png')))
    field.train(66, 'cannot open', 'case.json')
    field.check('there is' not in field.done.stderr, 'a text is not taken for an image')


def annotations_by_id(field):
    """cocodataset/cocoapi#554 (LIVECell): "annotations" is an object, id to record. The reference dies of it."""
    field.write('by-id.json', changed(lambda a: a.update(annotations={str(one['id']): one for one in a['annotations']})))
    words = '"annotations" that is not a list but an object; write its values as a list'
    for strict in [], ['--strict']:
        field.train(65, words, 'by-id.json', *strict)
        field.judge(65, words, 'by-id.json', 'results.json', *strict)
    field.on('predict', 65, words, 'by-id.json')


def flat_polygon(field):
    """cvat-ai/cvat#6392, roboflow/supervision#205: a polygon that is not in a list. The reference dies of it."""
    field.write('flat.json', changed(each_annotation('segmentation', lambda one: one['segmentation'][0])))
    for strict in [], ['--strict']:
        field.train(65, ['annotations[0].segmentation[0] is 4', 'too stands in a list, [[x0, y0, ...]]'], 'flat.json', *strict)
        field.judge(65, 'too stands in a list', 'flat.json', 'results.json', *strict)
    field.judge(0, '', 'flat.json', iou='bbox')


def all_crowds(field):
    """cvat-ai/cvat#8470: masks drawn with the brush come as run lengths with "iscrowd": 1. The reference gives -1."""
    def crowds(data):
        each_annotation('segmentation', lambda one: {'size': [HEIGHT, WIDTH], 'counts': runs(one['bbox'])})(data)
        each_annotation('iscrowd', lambda one: 1)(data)
    field.write('crowds.json', changed(crowds))
    for strict in [], ['--strict']:
        field.train(65, ['all of its 12 annotations are crowds', '"iscrowd" to 0'], 'crowds.json', *strict)
    field.judge(0, 'all 12 are crowds or are to be ignored', 'crowds.json', ap=-1)
    field.write('singles.json', changed(each_annotation('iscrowd', lambda one: 0), lambda: changed(crowds)))
    field.train(0, '', 'singles.json')
    field.judge(0, '', 'singles.json', ap=AP)


def root_category(field):
    """roboflow/roboflow-100-benchmark#45, rf-detr#1303: category 0 is the project, nobody has it, and it may have a class's name."""
    for name in 'shapes', 'brick':
        field.write('root.json', changed(lambda a, name=name: a['categories'].insert(0, {'id': 0, 'name': name, 'supercategory': 'none'})))
        field.train(0, '', 'root.json', '--strict')
        field.judge(0, '', 'root.json', 'results.json', '--strict', ap=AP)


def sizes_exchanged(field):
    """facebookresearch/detectron2#863, #2463: height and width are exchanged in the file. The reference gives 0."""
    field.write('exchanged.json', changed(each_image(height=lambda i: WIDTH, width=lambda i: HEIGHT)))
    words = ['4 of 4 images', '"images/img1.png" is 64 x 96 (height x width), but the annotation file says 96 x 64']
    for more in [], ['-n'], ['--strict']:
        field.train(65, words, 'exchanged.json', *more)
    field.on('cache', 65, words, 'exchanged.json')
    field.judge(0, '12 of 12 masks have another size than their image, 12 of them height and width exchanged', 'exchanged.json', ap=0)
    field.judge(65, '12 of them height and width exchanged', 'exchanged.json', 'results.json', '--strict')


def nothing_found(field):
    """cocodataset/cocoapi#450: an empty list of results. The reference dies of it."""
    field.write('nothing.json', [])
    for iou in 'segm', 'bbox':
        field.judge(0, 'empty list', 'healthy.json', 'nothing.json', iou=iou, ap=0)


def foreign_images(field):
    """cocodataset/cocoapi#497, #230: results of images that the annotations do not have. The reference refuses them."""
    def moved(list_):
        for one in list_[-3:]:
            one['image_id'] += 900
    field.write('foreign.json', changed(moved, results))
    for strict in [], ['--strict']:
        field.judge(65, ['[9].image_id is 904', '9 of 12 results have an image of this annotation file'], 'healthy.json', 'foreign.json', *strict)


def results_in_an_object(field):
    """cocodataset/cocoapi#401: results are a whole COCO file with "annotations" that have scores. The reference refuses it."""
    field.write('object.json', dict(dataset(), annotations=[dict(one, id=i) for i, one in enumerate(results())]))
    field.judge(65, ['not a list of results', '"annotations", write that list alone'], 'healthy.json', 'object.json')


def encodings(field):
    """chenyilun95/tf-cpn#61, obss/sahi#453, ultrajson#640: names in another encoding than UTF-8, and byte order marks."""
    with open('healthy.json', 'rb') as file:
        text = file.read()
    field.write('latin.json', text.replace(b'img1', b'caf\xe9'))
    field.write('gbk.json', text.replace(b'brick', '\u74e6'.encode('gbk')))
    for path in 'latin.json', 'gbk.json':
        for strict in [], ['--strict']:
            field.train(65, ['line 1', 'not valid UTF-8; save the file in that encoding'], path, *strict)
        field.judge(65, 'not valid UTF-8', path)
    field.write('utf16.json', text.decode().encode('utf-16'))
    field.train(65, 'looks like UTF-16', 'utf16.json')
    field.judge(65, 'looks like UTF-16', 'utf16.json')
    field.write('marked.json', b'\xef\xbb\xbf' + text)
    field.train(0, '', 'marked.json', '--strict')
    field.judge(0, '', 'marked.json', ap=AP)
    done = field.expect(0, '', 'iuq-info', '--check', 'marked.json')
    field.check('annotations, whole' in done.stdout, 'iuq-info knows annotations behind a byte order mark')


def half_a_checkpoint(field):
    """open-mmlab/mmdetection#4835, #8723: "failed finding central directory", the upload had stopped."""
    fixture = os.path.join(os.path.dirname(os.path.abspath(__file__)), '../fixtures/weights/mmdet.pth')
    with open(fixture, 'rb') as file:
        whole = file.read()
    for size in 100, len(whole) // 2, len(whole) - 1:
        field.write('half.pth', whole[:size])
        field.expect(65, 'half.pth', 'iuq-convert', '-q', '--input', 'half.pth', '-o', 'out.safetensors')
        field.check(not os.path.exists('out.safetensors'), 'nothing is left')


def images_of_another_split(field):
    """xinghaochen/TinySAM#23, DiffusionInst#20: LVIS's validation images lie in train2017, and its file has URLs alone."""
    def lvis(data):
        for one in data['images']:
            one['coco_url'] = 'http://images.cocodataset.org/train2017/' + one.pop('file_name')
            one.update(neg_category_ids=[], not_exhaustive_category_ids=[])
        for one in data['categories']:
            one.update(frequency='f', image_count=4, instance_count=6)
    field.write('lvis.json', changed(lvis))
    for folder in 'coco/train2017', 'coco/val2017':
        os.makedirs(folder)
    for i in range(1, 5):
        field.write(f'coco/train2017/img{i}.png', picture(i))
    field.train(0, '', 'lvis.json', '--strict', images='coco')
    field.train(66, ['coco/train2017/train2017/img1.png', 'there is "coco/train2017/img1.png"'], 'lvis.json', images='coco/train2017')
    field.judge(0, '', 'lvis.json', ap=LVIS_AP)
    field.check('"protocol": "lvis"' in field.done.stdout, 'it is judged as LVIS')


def points_in_pairs(field):
    """cocodataset/cocoapi#102: a polygon as [[x, y], [x, y], ...]. The reference dies of it."""
    def pairs(one):
        flat = one['segmentation'][0]
        return [flat[i:i + 2] for i in range(0, len(flat), 2)]
    field.write('pairs.json', changed(each_annotation('segmentation', pairs)))
    words = '12 annotations of 4 images whose segmentation has no polygon of three points, [[x0, y0, x1, y1, x2, y2, ...]] (is it pairs'
    field.train(65, [words, 'none of its annotations is left'], 'pairs.json')
    field.judge(0, [words, 'no annotation that counts'], 'pairs.json', ap=-1)
    field.train(65, ['12 faults', 'annotations[11].segmentation has no polygon of three points'], 'pairs.json', '--strict')
    field.judge(65, 'annotations[11].segmentation has no polygon', 'pairs.json', 'results.json', '--strict')


def boxes_as_polygons(field):
    """tensorpack/tensorpack#1041: "segmentation" is [[x0, y0, x1, y1]], of some annotations."""
    def box(one):
        x, y, w, h = one['bbox']
        return [[x, y, x + w, y + h]] if one['id'] % 3 == 0 else [polygon(one['bbox'])]
    field.write('corners.json', changed(each_annotation('segmentation', box)))
    words = '4 annotations of 4 images whose segmentation has no polygon of three points'
    field.train(0, words + ', [[x0, y0, x1, y1, x2, y2, ...]] (is it pairs [x, y], or a box?) (ids 3, 6, 9, 12)', 'corners.json')
    field.judge(0, words, 'corners.json')
    field.train(65, ['4 faults', 'annotations[2].segmentation has no polygon'], 'corners.json', '--strict')


def merged_files(field):
    """ashnair1/COCO-Assistant#64, #24: two files in one, whose images have the same ids. The reference takes the last of each."""
    field.write('merged.json', changed(lambda a: a['images'].extend(dict(one, file_name='other.png') for one in dataset()['images'][:2])))
    for strict in [], ['--strict']:
        field.train(65, 'images: the id 1 occurs twice', 'merged.json', *strict)
    field.judge(0, '2 image(s) have the id of an earlier one', 'merged.json', ap=AP)
    field.judge(65, '2 image(s) have the id of an earlier one', 'merged.json', 'results.json', '--strict')


def sixteen_bits(field):
    """open-mmlab/mmdetection#12299, rf-detr#488: grey pictures of 16 bits."""
    os.mkdir('deep')
    for i in range(1, 5):
        ramp = b''.join(bytes((4 * y, 2 * x)) for y in range(HEIGHT) for x in range(WIDTH))
        field.write(f'deep/img{i}.png', png(ramp, depth=16, kind=0))
    field.train(0, '', 'healthy.json', images='deep')


LVIS_AP = 0.730776


def body(field):
    field.prepare(cached=False)
    for thread in (names_of_another_folder, other_case, annotations_by_id, flat_polygon, all_crowds, root_category, sizes_exchanged,
                   nothing_found, foreign_images, results_in_an_object, encodings, half_a_checkpoint, images_of_another_split,
                   points_in_pairs, boxes_as_polygons, merged_files, sixteen_bits):
        failed = field.failures
        thread(field)
        if field.failures > failed:
            print(f'^^ {thread.__doc__.splitlines()[0]}')


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1], body)
