"""Runs exported encoders in other people's libraries, for weights.test.ts.

    python encode.py JOBS     a JSON list of jobs, each a list of texts; prints one JSON line for each

    ["hf", FOLDER, IMAGES, OUT]              transformers.IJepaModel.from_pretrained(FOLDER)
    ["onnx", FILE, IMAGES, OUT]              onnxruntime on FILE, checked by onnx first
    ["rewrite", FOLDER, OUT, DTYPE, SHARDS]  the folder again, as transformers saves it

IMAGES is raw float32 [n, channels, side, side] of the size that the model says; OUT becomes raw float32.
"""
import json
import sys

import numpy as np


def hf(source, pictures, features):
    import torch
    from transformers import IJepaModel
    model, loading = IJepaModel.from_pretrained(source, output_loading_info=True)
    model.eval()
    c = model.config
    images = np.fromfile(pictures, dtype="<f4").reshape(-1, c.num_channels, c.image_size, c.image_size)
    with torch.no_grad():
        out = model(pixel_values=torch.from_numpy(images)).last_hidden_state.numpy()
    out.astype("<f4").tofile(features)
    return {"shape": out.shape, **{k: sorted(map(str, loading[k])) for k in ("missing_keys", "unexpected_keys", "mismatched_keys")}}


def onnx(source, pictures, features):
    import onnx
    import onnxruntime
    onnx.checker.check_model(source, full_check=True)
    declared = onnx.load(source, load_external_data=False)
    session = onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"])
    (given,), (made,) = session.get_inputs(), session.get_outputs()
    images = np.fromfile(pictures, dtype="<f4").reshape(-1, *given.shape[1:])
    (out,) = session.run(None, {given.name: images})
    (single,) = session.run(None, {given.name: images[:1]})
    out.astype("<f4").tofile(features)
    return {
        "shape": out.shape, "input": [given.name, given.shape], "output": [made.name, made.shape], "opset": {o.domain: o.version for o in declared.opset_import},
        "ops": sorted({n.op_type for n in declared.graph.node}), "single": float(np.abs(single - out[:1]).max()), "metadata": {m.key: m.value for m in declared.metadata_props},
    }


def rewrite(source, target, dtype, shards):
    import torch
    from transformers import IJepaModel
    model = IJepaModel.from_pretrained(source, dtype=getattr(torch, dtype))
    model.save_pretrained(target, max_shard_size=shards)
    return {"dtype": str(next(model.parameters()).dtype)}


for name, *rest in json.loads(sys.argv[1]):
    print("ANSWER " + json.dumps({"hf": hf, "onnx": onnx, "rewrite": rewrite}[name](*rest)), flush=True)
