"""What jieba and WordNet say of the words of the pairs that are pages of text."""

from typing import Any

from metric_pairs import pairs


def language_of_the_pairs(count: int) -> dict[str, Any]:
    import jieba
    from nltk.corpus import wordnet
    from nltk.stem.porter import PorterStemmer

    stem = PorterStemmer().stem
    cuts: dict[str, list[str]] = {}
    words: set[str] = set()
    for prediction, gold in pairs("ocrbench_v2/page_text", count):
        texts = (prediction, gold.answers[0])
        is_chinese = any("\u4e00" <= char <= "\u9fa5" for text in texts for char in text)
        for text in texts:
            if is_chinese:
                cuts[text] = jieba.lcut(text)
            words |= {word.lower() for word in (cuts[text] if is_chinese else text.split())}
    stems = {word: stem(word) for word in words}
    known = set(stems.values())
    synonyms = {}
    for word in sorted(known):
        names = {name for entry in wordnet.synsets(word) for name in entry.lemma_names()}
        if same := sorted((names & known) - {word}):
            synonyms[word] = same
    changed = {word: stem for word, stem in sorted(stems.items()) if word != stem}
    return {"cuts": cuts, "stems": changed, "synonyms": synonyms}
