"""The same ids as Hugging Face's `tokenizers`, over whole corpora and hard Unicode. Usage: check_tokenizers.py LIBGLIA.SO

Needs the packages `tokenizers`, `sentencepiece` and `protobuf`, and GLIA_DATA for the corpora; exit status 77 where there
is none. Trains tokenizers with the
package, reads their files with Glia and compares ids, types and decoded texts; and trains byte pairs with both, which have to
give the same vocabulary.
"""
import gzip
import io
import json
import os
import pathlib
import random
import sys
import tempfile
import unicodedata
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from glia_text import Tokenizer, load_library

DATA = os.environ.get("GLIA_DATA")
try:
    import tokenizers as T
    from tokenizers import decoders as D, models as M, normalizers as N, pre_tokenizers as P, processors as X, trainers as R
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2
except ImportError:
    T = None

GPT4 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
        r"\s+(?!\S)|\s+")


def corpora():
    read = lambda name: gzip.open(pathlib.Path(DATA, name)).read().decode("utf-8", "replace").splitlines()
    reviews = zipfile.ZipFile(pathlib.Path(DATA, "movie_reviews/movie_reviews.zip"))
    yield "shakespeare", [pathlib.Path(DATA, "shakespeare/input.txt").read_text()]
    yield "multi30k en", read("multi30k/train.en.gz")
    yield "multi30k de", read("multi30k/train.de.gz")
    yield "abc", read("abc/rural.txt.gz") + read("abc/science.txt.gz")
    yield "reviews", [reviews.read(n).decode("utf-8", "replace") for n in reviews.namelist() if n.endswith(".txt")]
    yield "hard", hard()


def hard():
    """Spaces of all kinds, marks in all orders, joined emoji, every old assigned character."""
    rng = random.Random(1)
    old = [chr(c) for c in range(1, 0x3000) if unicodedata.category(chr(c)) not in ("Cn", "Co", "Cs")]
    old = [c for c in old if unicodedata.ucd_3_2_0.category(c) != "Cn"]
    marks = [c for c in old if unicodedata.combining(c)]
    spaces = "  \t\n\r\u00a0\u2003\u3000\u0085\x0b\x1c\x1f\u200b\u2028ab1'!."
    texts = ["a%s b%sc %s%s" % (c, c, c, c) for c in old]
    for _ in range(2000):
        texts.append("".join(rng.choice(old) for _ in range(rng.randint(1, 12))))
        texts.append("".join(rng.choice(spaces) for _ in range(rng.randint(1, 14))))
        texts.append("".join(rng.choice("aeou\uac01\u1100\u1161\u11a8") + "".join(
            rng.choice(marks) for _ in range(rng.randint(0, 4))) for _ in range(3)))
    return texts + ["\U0001f468\u200d\U0001f469\u200d\U0001f467 family", "\U0001f1e9\U0001f1ea", "\u0130stanbul", "don't DON'T 'tis",
                    "\u4e2d\u6587 mixed \u65e5\u672c\u8a9e", "<mask>x <mask> [MASK]world", "a" * 300, ""]


def bpe(texts, pre, normalizer=None, decoder=None, post=None):
    t = T.Tokenizer(M.BPE())
    t.pre_tokenizer = pre
    if normalizer:
        t.normalizer = normalizer
    t.decoder = decoder or D.ByteLevel()
    t.train(texts, R.BpeTrainer(vocab_size=3000, initial_alphabet=P.ByteLevel.alphabet(), show_progress=False,
                                special_tokens=["<unk>", "<s>", "</s>"]))
    if post:
        t.post_processor = post
    return t


def wordpiece(texts, lowercase):
    t = T.Tokenizer(M.WordPiece(unk_token="[UNK]"))
    t.normalizer, t.pre_tokenizer, t.decoder = N.BertNormalizer(lowercase=lowercase), P.BertPreTokenizer(), D.WordPiece()
    t.train(texts, R.WordPieceTrainer(vocab_size=3000, show_progress=False,
                                      special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
    t.post_processor = X.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return t


def unigram(texts):
    t = T.Tokenizer(M.Unigram())
    t.normalizer = N.Sequence([N.Nmt(), N.NFKC(), N.Replace(T.Regex(" {2,}"), " ")])
    t.pre_tokenizer, t.decoder = P.Metaspace(), D.Metaspace()
    t.train(texts, R.UnigramTrainer(vocab_size=3000, show_progress=False, unk_token="<unk>",
                                    special_tokens=["<unk>", "<s>", "</s>"]))
    return t


def precompiled(texts, rule):
    """SentencePiece's own pieces and table of normalisation, put together as T5's and XLM-R's files are."""
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(input=texts, model_writer=out, vocab_size=3000, minloglevel=2,
                                             normalization_rule_name=rule)
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(out.getvalue())
    t = T.Tokenizer(M.Unigram([(p.piece, p.score) for p in model.pieces], model.trainer_spec.unk_id))
    t.normalizer = N.Sequence([N.Precompiled(model.normalizer_spec.precompiled_charsmap), N.Replace(T.Regex(" {2,}"), " ")])
    t.pre_tokenizer, t.decoder = P.Metaspace(), D.Metaspace()
    return t


def compare(name, theirs, ours, texts):
    wrong = 0
    for text in texts:
        e = theirs.encode(text)
        ids, types, _ = ours.encode(text)
        same = ids == e.ids and types == e.type_ids
        same = same and theirs.decode(e.ids) == ours.decode(ids).decode("utf-8", "replace")
        if not same and not wrong:
            print("    the first that differs: %s" % ascii(text[:80]))
        wrong += not same
    print("%-28s %6d texts, %d differ" % (name, len(texts), wrong), flush=True)
    return wrong


def main(library):
    if not T or not DATA:
        print("needs the packages tokenizers, sentencepiece and protobuf, and GLIA_DATA")
        return 77
    lib, wrong = load_library(library), 0
    train = [str(pathlib.Path(DATA, "shakespeare/input.txt"))]
    kinds = {
        "gpt2": lambda: bpe(train, P.ByteLevel(add_prefix_space=False)),
        "roberta": lambda: bpe(train, P.ByteLevel(), post=X.RobertaProcessing(("</s>", 2), ("<s>", 1))),
        "gpt4": lambda: bpe(train, P.Sequence([P.Split(T.Regex(GPT4), "isolated"),
                                               P.ByteLevel(add_prefix_space=False, use_regex=False)]), N.NFC()),
        "bert": lambda: wordpiece(train, True),
        "bert cased": lambda: wordpiece(train, False),
        "unigram": lambda: unigram(train),
        "nmt_nfkc": lambda: precompiled(train, "nmt_nfkc"),
        "nmt_nfkc_cf": lambda: precompiled(train, "nmt_nfkc_cf"),
    }
    texts = list(corpora())
    with tempfile.TemporaryDirectory() as folder:
        for name, make in kinds.items():
            theirs, path = make(), pathlib.Path(folder, "tokenizer.json")
            theirs.save(str(path))
            ours = Tokenizer.load(lib, path)
            wrong += sum(compare(name + ", " + where, theirs, ours, lines) for where, lines in texts)
    ours = Tokenizer.train_files(lib, "bpe", train, vocabulary=3000, specials=b"<unk>,<s>,</s>")
    same = json.loads(ours.json)["model"]["vocab"] == kinds["gpt2"]().get_vocab()
    print("byte pairs trained by both: %s" % ("the same" if same else "different"))
    return 1 if wrong or not same else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
