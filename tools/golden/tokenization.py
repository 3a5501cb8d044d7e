"""Small tokenizers of Hugging Face's `tokenizers` and their encodings of texts -> tests/golden/tokenizers/.

Usage: tokenization.py FOLDER. NAME.json is a tokenizer. NAME.ids has a line for each text: its bytes in hexadecimal,
the ids with special tokens, and the byte offsets at which the tokens begin. NAME.pair has the ids of the first two
texts encoded as a pair. gpt2/ holds vocab.json and merges.txt, bert/ vocab.txt, of two of the tokenizers. Needs the
packages tokenizers, sentencepiece and protobuf.
"""
import io
import json
import pathlib
import sys
import tempfile

import sentencepiece
from sentencepiece import sentencepiece_model_pb2

import tokenizers as T
from tokenizers import decoders as D, models as M, normalizers as N, pre_tokenizers as P, processors as X, trainers as R

PROSE = """It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of
foolishness, it was the epoch of belief, it was the epoch of incredulity; it's 1859 and we'll don't care.
Ça va? Émile est naïf. Größe über Maß: 12 345 Stück. 日本語の文 中文字符 한국어 👩‍👩‍👧 🇫🇷 e\u0301.
"""
TEXTS = ["It was the best of times", "DON'T we'll I've 'tis it's", "", " ",
         "  two  spaces \t\n\n tabs", "naïve Ça Größe e\u0301\u0323",
         "日本語 中文 mixed한국어", "👨‍👩‍👧‍👦 🇩🇪🇫🇷 \ufe0f", "12 345,678.90 ½ ² ①", "ﬁne İstanbul ΑΣ ß ẞ",
         "<mask>x <mask> world [MASK]world",
         "\u00a0nbsp\u3000wide\u200bzero", "a\x0bb\x1cc\x85d\u2028e", "x" * 120,
         "ŻÓŁĆ zażółć", "end.\r\n", "…!?—«quoted»"]
GPT4 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
        r"\s*[\r\n]+|\s+(?!\S)|\s+")


def bpe(pre, size=420, normalizer=None, decoder=None, post=None, alphabet=True, **options):
    t = T.Tokenizer(M.BPE(**options))
    t.pre_tokenizer = pre
    if normalizer:
        t.normalizer = normalizer
    if decoder:
        t.decoder = decoder
    suffix = {k: v for k, v in options.items() if k == "end_of_word_suffix"}
    t.train_from_iterator([PROSE], R.BpeTrainer(
        vocab_size=size, initial_alphabet=P.ByteLevel.alphabet() if alphabet else [], show_progress=False,
        special_tokens=["<unk>", "<s>", "</s>"], **suffix))
    if post:
        t.post_processor = post
    return t


def roberta():
    t = bpe(P.ByteLevel(add_prefix_space=True), decoder=D.ByteLevel(),
            post=X.RobertaProcessing(("</s>", 2), ("<s>", 1), trim_offsets=False))
    t.add_special_tokens([T.AddedToken("<mask>", lstrip=True)])
    t.add_tokens([T.AddedToken("world", single_word=True)])
    return t


def llama():
    t = bpe(P.Whitespace(), size=300, alphabet=False, unk_token="<unk>", fuse_unk=True)
    j = json.loads(t.to_str())
    j["normalizer"] = {"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}
    j["pre_tokenizer"] = None
    j["model"]["byte_fallback"] = True
    for b in range(256):
        j["model"]["vocab"]["<0x%02X>" % b] = len(j["model"]["vocab"])
    j["decoder"] = {"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0}]}
    return T.Tokenizer.from_str(json.dumps(j))


def wordpiece(lowercase):
    t = T.Tokenizer(M.WordPiece(unk_token="[UNK]"))
    t.normalizer, t.pre_tokenizer = N.BertNormalizer(lowercase=lowercase), P.BertPreTokenizer()
    t.decoder = D.WordPiece()
    t.train_from_iterator([PROSE], R.WordPieceTrainer(
        vocab_size=260, show_progress=False, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
    t.post_processor = X.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return t


def unigram():
    t = T.Tokenizer(M.Unigram())
    t.normalizer = N.Sequence([N.Nmt(), N.NFKC(), N.Replace(T.Regex(" {2,}"), " ")])
    t.pre_tokenizer, t.decoder = P.Metaspace(), D.Metaspace()
    t.train_from_iterator([PROSE], R.UnigramTrainer(vocab_size=200, show_progress=False, unk_token="<unk>",
                                                    special_tokens=["<unk>", "<s>", "</s>"]))
    t.post_processor = X.TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> $B:1 </s>:1",
                                            special_tokens=[("<s>", 1), ("</s>", 2)])
    return t


RULES = {"\ufb01": "fi", "\u00bd": "1/2", "\u00df": "ss", "\u1e9e": "ss", "\u0130": "i\u0307",
         "e\u0301": "\u00e9", "\u00a0": " ",
         "\u3000": " ", "\u200b": "", "\r": " ", "\n": " ", "\t": " ", "\u0085": " ",
         "\u2028": " ", "\x0b": "", "\u2026": "...",
         "\u0391": "\u03b1", "\u03a3": "\u03c3", "\u2460": "1", "\ufe0f": "",
         "\u200d": "", "\u00ab": '"', "\u00bb": '"',
         "\u0323": ""}


def precompiled():
    """SentencePiece with custom normalisation rules, combined as in the files of T5 and XLM-R."""
    out = io.BytesIO()
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as rules:
        for source, target in RULES.items():
            print(*(" ".join("%X" % ord(c) for c in text) for text in (source, target)), sep="\t", file=rules)
        rules.flush()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(PROSE.splitlines()), model_writer=out, vocab_size=120, hard_vocab_limit=False,
            minloglevel=2, normalization_rule_tsv=rules.name)
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(out.getvalue())
    t = T.Tokenizer(M.Unigram([(p.piece, p.score) for p in model.pieces], model.trainer_spec.unk_id))
    t.normalizer = N.Sequence([N.Precompiled(model.normalizer_spec.precompiled_charsmap),
                               N.Replace(T.Regex(" {2,}"), " ")])
    t.pre_tokenizer, t.decoder = P.Metaspace(), D.Metaspace()
    t.post_processor = X.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 2)])
    return t


def words():
    t = T.Tokenizer(M.WordLevel(unk_token="[UNK]"))
    t.normalizer = N.Sequence([N.NFKD(), N.StripAccents(), N.Lowercase(), N.Strip()])
    t.pre_tokenizer = P.Sequence([P.Whitespace(), P.Punctuation(behavior="contiguous"),
                                  P.Digits(individual_digits=True)])
    t.train_from_iterator([PROSE], R.WordLevelTrainer(vocab_size=60, show_progress=False, special_tokens=["[UNK]"]))
    return t


CASES = {
    "gpt2": lambda: bpe(P.ByteLevel(add_prefix_space=False), decoder=D.ByteLevel()),
    "roberta": roberta,
    "gpt4": lambda: bpe(P.Sequence([P.Split(T.Regex(GPT4), "isolated"),
                                    P.ByteLevel(add_prefix_space=False, use_regex=False)]),
                        normalizer=N.NFC(), decoder=D.ByteLevel()),
    "llama": llama,
    "suffix": lambda: bpe(P.Whitespace(), size=200, normalizer=N.Sequence([N.NFKC(), N.Lowercase()]), alphabet=False,
                          decoder=D.BPEDecoder(), unk_token="<unk>", end_of_word_suffix="</w>"),
    "bert": lambda: wordpiece(True),
    "bert_cased": lambda: wordpiece(False),
    "unigram": unigram,
    "precompiled": precompiled,
    "words": words,
}


def main(folder):
    folder = pathlib.Path(folder)
    for name, make in CASES.items():
        t = make()
        text = json.dumps(json.loads(t.to_str()), ensure_ascii=False, indent=None)
        (folder / (name + ".json")).write_text(text + "\n")
        with open(folder / (name + ".ids"), "w") as out:
            for text in TEXTS:
                e = t.encode(text)
                places = [0]
                for c in text:
                    places.append(places[-1] + len(c.encode()))
                print(text.encode().hex() or "-", *e.ids, "@", *[places[b] for b, _ in e.offsets], file=out)
        (folder / (name + ".pair")).write_text(" ".join(map(str, t.encode(TEXTS[0], TEXTS[1]).ids)) + "\n")
    t = json.loads((folder / "gpt2.json").read_text())
    (folder / "gpt2").mkdir(exist_ok=True)
    (folder / "bert").mkdir(exist_ok=True)
    (folder / "gpt2/vocab.json").write_text(json.dumps(t["model"]["vocab"], ensure_ascii=False) + "\n")
    merges = [m if isinstance(m, str) else " ".join(m) for m in t["model"]["merges"]]
    (folder / "gpt2/merges.txt").write_text("\n".join(["#version: 0.2"] + merges) + "\n")
    vocab = json.loads((folder / "bert.json").read_text())["model"]["vocab"]
    (folder / "bert/vocab.txt").write_text("\n".join(sorted(vocab, key=vocab.get)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
