"""Compares Glia's tokenizers with Hugging Face's `tokenizers`, on corpora and difficult Unicode.
Usage: check_tokenizers.py LIBGLIA.SO [KIND ...]

Needs the packages `tokenizers`, `sentencepiece` and `protobuf`, and the corpora in GLIA_DATA; exit status 77 without
them. Trains tokenizers of each kind with the package, configured as in the models of these names, and reads their files
with Glia; trains tokenizers with Glia and reads their files with the package. Compares ids, types and decoded texts.
BPE trained by both must give the same vocabulary.
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
    from tokenizers import decoders as D, models as M, normalizers as N, pre_tokenizers as P
    from tokenizers import processors as X, trainers as R
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2
except ImportError:
    T = None

CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
GPT4 = (CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+" + CONTRACTIONS + "?|"
         r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*" + CONTRACTIONS + "?|"
         r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
KIMI = (r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*"
        r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+" + CONTRACTIONS + "?|"
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+"
        r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*" + CONTRACTIONS + "?|"
        r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK = [r"\p{N}{1,3}", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
            r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|"
            r" ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"]
CLIP = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
BLOOM = " ?[^(\\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+"


# Characters whose category has changed since Unicode 8, whose tables the package uses for BERT.
CHANGED = "\u166d\u1734\u1885\u1886"


def corpora():
    read = lambda name: gzip.open(pathlib.Path(DATA, name)).read().decode("utf-8", "replace").splitlines()
    some = lambda lines: ["\n".join(lines[i:i + 8]) for i in range(0, len(lines), 8)]
    reviews = zipfile.ZipFile(pathlib.Path(DATA, "movie_reviews/movie_reviews.zip"))
    yield "shakespeare", [pathlib.Path(DATA, "shakespeare/input.txt").read_text()]
    yield "multi30k en", some(read("multi30k/train.en.gz"))
    yield "multi30k de", some(read("multi30k/train.de.gz"))
    yield "abc", some(read("abc/rural.txt.gz") + read("abc/science.txt.gz"))
    yield "reviews", [reviews.read(n).decode("utf-8", "replace") for n in reviews.namelist() if n.endswith(".txt")]
    yield "hard", hard()


def hard():
    """All kinds of spaces, marks in all orders, joined emoji, all characters of old Unicode, some of Han and Hangul."""
    rng = random.Random(1)
    old = [chr(c) for c in range(1, 0x30000) if unicodedata.category(chr(c)) not in ("Cn", "Co", "Cs")]
    old = [c for c in old if unicodedata.ucd_3_2_0.category(c) != "Cn"]
    old = [c for c in old if c not in CHANGED]
    many = [c for c in old if unicodedata.name(c, "").startswith(("CJK UNIFIED", "HANGUL SYLLABLE"))]
    old = sorted(set(old) - set(many)) + rng.sample(many, 1000)
    marks = [c for c in old if unicodedata.combining(c)]
    spaces = "  \t\n\r\u00a0\u2003\u3000\u0085\x0b\x1c\x1f\u200b\u2028ab1'!."
    mixed = [many, "\u3042\u30ab\u30fc\u3002\uff0c\u300c", "ab cX", "12\u0661\u00b2\u2167", "'.,!\n ",
             "\u0436\u03b1\u0623\u05d0\u0e01"]
    texts = ["a%s b%sc %s%s" % (c, c, c, c) for c in old]
    for _ in range(2000):
        texts.append("".join(rng.choice(old) for _ in range(rng.randint(1, 12))))
        texts.append("".join(rng.choice(rng.choice(mixed)) for _ in range(rng.randint(1, 16))))
        texts.append("".join(rng.choice(spaces) for _ in range(rng.randint(1, 14))))
        texts.append("".join(rng.choice("aeou\uac01\u1100\u1161\u11a8") + "".join(
            rng.choice(marks) for _ in range(rng.randint(0, 4))) for _ in range(3)))
    return texts + ["\U0001f468\u200d\U0001f469\u200d\U0001f467 family", "\U0001f1e9\U0001f1ea", "\u0130stanbul",
                    "don't DON'T 'tis", "\u4e2d\u6587 mixed \u65e5\u672c\u8a9e",
                    "<mask>x <mask> [MASK]world", "a" * 300, ""]


def bpe(texts, pre, normalizer=None, decoder=None, post=None, **options):
    t = T.Tokenizer(M.BPE())
    t.pre_tokenizer = pre
    if normalizer:
        t.normalizer = normalizer
    t.decoder = decoder or D.ByteLevel()
    t.train(texts, R.BpeTrainer(vocab_size=3000, initial_alphabet=P.ByteLevel.alphabet(), show_progress=False,
                                special_tokens=["<unk>", "<s>", "</s>"], **options))
    if post:
        t.post_processor = post
    return t


def splits(*patterns):
    """The usual pre-tokenizer of recent models: several patterns in sequence, then bytes."""
    return P.Sequence([P.Split(T.Regex(p), "isolated") for p in patterns] +
                      [P.ByteLevel(add_prefix_space=False, use_regex=False)])


def clip(texts):
    pre = P.Sequence([P.Split(T.Regex(CLIP), "removed", invert=True), P.ByteLevel(add_prefix_space=False)])
    normalizer = N.Sequence([N.NFC(), N.Replace(T.Regex(r"\s+"), " "), N.Lowercase()])
    t = bpe(texts, pre, normalizer, end_of_word_suffix="</w>")
    t.model.end_of_word_suffix = "</w>"
    t.model.unk_token = "<unk>"
    return t


def llama(texts):
    """Spaces become U+2581; characters without a token become byte tokens."""
    t = T.Tokenizer(M.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = N.Sequence([N.Prepend("\u2581"), N.Replace(" ", "\u2581")])
    t.pre_tokenizer = P.Split("\u2581", "merged_with_next")
    t.train(texts, R.BpeTrainer(vocab_size=3000, show_progress=False, limit_alphabet=90,
                                special_tokens=["<unk>", "<s>", "</s>"] + ["<0x%02X>" % b for b in range(256)]))
    t.decoder = D.Sequence([D.Replace("\u2581", " "), D.ByteFallback(), D.Fuse(), D.Strip(" ", 1, 0)])
    return without_bytes(t)


def without_bytes(t):
    """Removes the byte tokens from the added tokens, so that only the model has them, as in Llama's file."""
    file = json.loads(t.to_str())
    file["added_tokens"] = [a for a in file["added_tokens"] if not a["content"].startswith("<0x")]
    file["pre_tokenizer"] = None
    return T.Tokenizer.from_str(json.dumps(file))


def metaspace(texts):
    t = T.Tokenizer(M.BPE(unk_token="<unk>"))
    t.normalizer, t.pre_tokenizer = N.NFKC(), P.Metaspace(prepend_scheme="first")
    t.decoder = D.Metaspace(prepend_scheme="first")
    t.train(texts, R.BpeTrainer(vocab_size=3000, show_progress=False, special_tokens=["<unk>", "<s>", "</s>"]))
    return t


def wordpiece(texts, lowercase):
    t = T.Tokenizer(M.WordPiece(unk_token="[UNK]"))
    t.normalizer, t.pre_tokenizer = N.BertNormalizer(lowercase=lowercase), P.BertPreTokenizer()
    t.decoder = D.WordPiece()
    t.train(texts, R.WordPieceTrainer(vocab_size=3000, show_progress=False,
                                      special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
    t.post_processor = X.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return t


def unigram(texts, normalizer, pre):
    t = T.Tokenizer(M.Unigram())
    t.normalizer, t.pre_tokenizer, t.decoder = normalizer, pre, D.Metaspace()
    t.train(texts, R.UnigramTrainer(vocab_size=3000, show_progress=False, unk_token="<unk>",
                                    special_tokens=["<unk>", "<s>", "</s>"]))
    return t


def nmt():
    return N.Sequence([N.Nmt(), N.NFKC(), N.Replace(T.Regex(" {2,}"), " ")])


def albert():
    return N.Sequence([N.Replace("``", '"'), N.Replace("''", '"'), N.NFKD(), N.StripAccents(), N.Lowercase(),
                       N.Strip()])


def words(texts, pre):
    t = T.Tokenizer(M.WordLevel(unk_token="<unk>"))
    t.pre_tokenizer = pre
    t.train(texts, R.WordLevelTrainer(vocab_size=3000, show_progress=False, special_tokens=["<unk>"]))
    return t


def precompiled(texts, rule):
    """The pieces and the normalisation table of SentencePiece, combined as in the files of T5 and XLM-R."""
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(input=texts, model_writer=out, vocab_size=3000, minloglevel=2,
                                             normalization_rule_name=rule)
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(out.getvalue())
    t = T.Tokenizer(M.Unigram([(p.piece, p.score) for p in model.pieces], model.trainer_spec.unk_id))
    t.normalizer = N.Sequence([N.Precompiled(model.normalizer_spec.precompiled_charsmap),
                               N.Replace(T.Regex(" {2,}"), " ")])
    t.pre_tokenizer, t.decoder = P.Metaspace(), D.Metaspace()
    return t


def encode_all(theirs, texts):
    """The encodings; None for a text that the tokenizer cannot encode for lack of an unknown token."""
    def encode(text):
        try:
            return theirs.encode(text)
        except Exception:
            return None

    try:
        return theirs.encode_batch(texts)
    except Exception:
        return [encode(t) for t in texts]


def compare(name, theirs, ours, texts):
    wrong, tokens = {"ids": 0, "types": 0, "texts": 0}, 0
    encodings = encode_all(theirs, texts)
    decoded = theirs.decode_batch([e.ids if e else [] for e in encodings])
    for text, e, back in zip(texts, encodings, decoded):
        try:
            ids, types, _ = ours.encode(text, offsets=False)
        except ValueError:
            wrong["ids"] += e is not None
            continue
        same = {"ids": e is not None and ids == e.ids}
        if same["ids"]:
            same.update(types=types == e.type_ids, texts=back == ours.decode(ids).decode("utf-8", "replace"))
        tokens += len(ids)
        for k in [k for k in same if not same[k]]:
            if not wrong[k]:
                print("    the first whose %s differ: %s" % (k, ascii(text[:80])))
            wrong[k] += 1
    print("%-28s %6d texts, %8d tokens: %s" % (name, len(texts), tokens, ", ".join(
        "%d %s differ" % (wrong[k], k) for k in wrong if wrong[k]) or "the same"), flush=True)
    return sum(wrong.values())


def main(library, chosen):
    if not T or not DATA:
        print("needs the packages tokenizers, sentencepiece and protobuf, and GLIA_DATA")
        return 77
    lib, wrong = load_library(library), 0
    texts = list(corpora())
    with tempfile.TemporaryDirectory() as folder:
        shakespeare = [str(pathlib.Path(DATA, "shakespeare/input.txt"))]
        train = shakespeare + [str(pathlib.Path(folder, "train.txt"))]
        pathlib.Path(train[1]).write_text("\n".join(t for name in (2, 5) for t in texts[name][1][::4]))
        space = dict(add_prefix_space=False)
        kinds = {
            "gpt2": lambda: bpe(train, P.ByteLevel(**space)),
            "roberta": lambda: bpe(train, P.ByteLevel(), post=X.RobertaProcessing(("</s>", 2), ("<s>", 1))),
            "gpt4": lambda: bpe(train, splits(GPT4), N.NFC()),
            "o200k": lambda: bpe(train, splits(O200K)),
            "kimi": lambda: bpe(train, splits(KIMI)),
            "deepseek": lambda: bpe(train, splits(*DEEPSEEK)),
            "bloom": lambda: bpe(train, splits(BLOOM)),
            "starcoder": lambda: bpe(train, P.Sequence([P.Digits(True), P.ByteLevel(**space)])),
            "clip": lambda: clip(train),
            "llama": lambda: llama(train),
            "metaspace": lambda: metaspace(train),
            "bert": lambda: wordpiece(train, True),
            "bert cased": lambda: wordpiece(train, False),
            "unigram": lambda: unigram(shakespeare, nmt(), P.Metaspace()),
            "albert": lambda: unigram(shakespeare, albert(), P.Sequence([P.WhitespaceSplit(), P.Metaspace()])),
            "nmt_nfkc": lambda: precompiled(shakespeare, "nmt_nfkc"),
            "nmt_nfkc_cf": lambda: precompiled(shakespeare, "nmt_nfkc_cf"),
            "whitespace": lambda: words(train, P.Whitespace()),
            "punctuation": lambda: words(train, P.Sequence([P.WhitespaceSplit(), P.Punctuation("contiguous"),
                                                            P.Digits(False)])),
        }
        own = {kind: dict(vocabulary=3000) for kind in ["words", "bpe", "wordpiece", "unigram"]}
        own["characters"] = dict()
        for name in [k for k in kinds if not chosen or k in chosen]:
            theirs, path = kinds[name](), pathlib.Path(folder, "tokenizer.json")
            theirs.save(str(path))
            ours = Tokenizer.load(lib, path)
            wrong += sum(compare(name + ", " + where, theirs, ours, lines) for where, lines in texts)
        for kind in [k for k in own if not chosen or "glia " + k in chosen]:
            files = train if kind in ("characters", "words") else shakespeare
            ours = Tokenizer.train_files(lib, kind, files, **own[kind])
            theirs = T.Tokenizer.from_str(ours.json)
            wrong += sum(compare("glia " + kind + ", " + where, theirs, ours, lines) for where, lines in texts)
        if not chosen:
            ours = Tokenizer.train_files(lib, "bpe", shakespeare, vocabulary=3000, specials=b"<unk>,<s>,</s>")
            theirs = bpe(shakespeare, P.ByteLevel(**space))
            same = json.loads(ours.json)["model"]["vocab"] == theirs.get_vocab()
            print("byte pairs trained by both: %s" % ("the same" if same else "different"))
            wrong += not same
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
