"""The commits whose functions were recorded."""

LMMS_EVAL = "75571cfe0fa36ca5ec2e6aa2bb268f9d38295af3"
VLMEVALKIT = "e8e78f05f3080fe28154f2130321f17951c3be94"
AUTHORS = {
    "BradyFU/Video-MME": "4e7566d36f63121fc72f040654d6f38f83f30125",
    "JUNJIE99/MLVU": "fd060c10a43ea48a35100a22688a927b8e531199",
    "MME-Benchmarks/Video-MME-v2": "b24176a14506c48a9f3e156d9f20068db6c4782b",
    "MMMU-Benchmark/MMMU": "bb0b95a945998d91dfef37e969e07d49d1139438",
    "OpenGVLab/Ask-Anything": "4dd8210b030374bb0c510a57dfbe916f70d3ef71",
    "QwenLM/Qwen-VL": "aa00ed04091eea5fcdd32985e7915f1c53e7d599",
    "Yuliang-Liu/MultimodalOCR": "794c36d6423cf1d5764081128bcaeb46b240def6",
    "facebookresearch/mmf": "b0ffc7fba39f210f833c127362146aec01a2f259",
    "google-research/pix2struct": "945f27e936c9464d9d7c133f1bd1f4f383be9e99",
    "llyx97/TempCompass": "e1b463166400633e6061962d890a9ae85db29f70",
    "mayubo2333/MMLongBench-Doc": "d73f0dc0be7e0a2ff6a403d5fe65fcd96461f384",
    "vis-nlp/ChartQAPro": "4b422c658270aff1d3105fd0fb39b1dd5de9f08c",
}


def authors() -> str:
    """All of them as one text, as it stands in the recorded file."""
    return "\n".join(f"{name} {commit}" for name, commit in AUTHORS.items())
