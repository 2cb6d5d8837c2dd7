"""Published benchmarks, one small file each, and `folder` for one's own documents."""

from .ai2d import AI2D
from .benchmark import Benchmark, Loaded, load_benchmark
from .chartqa import CHARTQA
from .chartqapro import CHARTQAPRO
from .docvqa import DOCVQA
from .dude import DUDE
from .egoschema import EGOSCHEMA
from .folder import FOLDER
from .infovqa import INFOVQA
from .longvideobench import LONGVIDEOBENCH
from .mlvu import MLVU
from .mmlongbench_doc import MMLONGBENCH_DOC
from .mmmu import MMMU
from .mp_docvqa import MP_DOCVQA
from .mvbench import MVBENCH
from .ocrbench import OCRBENCH
from .ocrbench_v2 import OCRBENCH_V2
from .omnidocbench import OMNIDOCBENCH
from .question import Question
from .row import BadRow
from .slidevqa import SLIDEVQA
from .tempcompass import TEMPCOMPASS
from .textvqa import TEXTVQA
from .video_mme import VIDEO_MME

BENCHMARKS = {
    benchmark.name: benchmark
    for benchmark in (
        DOCVQA, INFOVQA, CHARTQA, CHARTQAPRO, TEXTVQA, OCRBENCH, OCRBENCH_V2, AI2D, MMMU,
        MMLONGBENCH_DOC, DUDE, SLIDEVQA, MP_DOCVQA, OMNIDOCBENCH,
        VIDEO_MME, MLVU, MVBENCH, LONGVIDEOBENCH, EGOSCHEMA, TEMPCOMPASS,
        FOLDER,
    )
}  # fmt: skip

__all__ = ["BENCHMARKS", "BadRow", "Benchmark", "Loaded", "Question", "load_benchmark"]
