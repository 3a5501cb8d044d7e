"""glia_text.py - Glia's tokenizers in Python, through ctypes, for the tests."""
import ctypes
from ctypes import POINTER, Structure, byref, c_bool, c_char_p, c_int, c_int32, c_int64, c_size_t, c_uint8, c_void_p


class Error(Structure):
    _fields_ = [("status", c_int), ("message", ctypes.c_char * 512)]


class String(Structure):
    _fields_ = [("bytes", c_char_p), ("length", c_size_t)]


class TrainOpts(Structure):
    _fields_ = [("vocabulary", c_int64), ("minimum", c_int64), ("specials", c_char_p), ("lowercase", c_bool),
                ("threads", c_int)]


class EncodeOpts(Structure):
    _fields_ = [("specials", c_bool), ("offsets", c_bool), ("pair", c_char_p), ("pair_length", c_size_t)]


class Encoding(Structure):
    _fields_ = [("n", c_int64), ("ids", POINTER(c_int32)), ("types", POINTER(c_uint8)), ("begins", POINTER(c_int64)),
                ("ends", POINTER(c_int64))]


KINDS = ["characters", "words", "bpe", "wordpiece", "unigram"]


def load_library(path):
    lib = ctypes.CDLL(str(path))
    for name in ["glia_tokenizer_load", "glia_tokenizer_parse", "glia_tokenizer_train", "glia_tokenizer_train_files",
                 "glia_tokenizer_decode", "glia_tokenizer_json"]:
        getattr(lib, name).restype = c_void_p
    lib.glia_tokenizer_size.restype = c_int64
    libc = ctypes.CDLL(None)
    libc.free.argtypes = [c_void_p]
    lib.release = libc.free
    return lib


class Tokenizer:
    def __init__(self, lib, handle, error):
        if not handle:
            raise ValueError(error.message.decode("utf-8", "replace"))
        self.lib, self.handle = lib, c_void_p(handle)

    def __del__(self):
        if hasattr(self, "handle"):
            self.lib.glia_tokenizer_free(self.handle)

    @classmethod
    def load(cls, lib, path):
        error = Error()
        return cls(lib, lib.glia_tokenizer_load(str(path).encode(), byref(error)), error)

    @classmethod
    def train_files(cls, lib, kind, paths, **opts):
        error = Error()
        files = (c_char_p * len(paths))(*[str(p).encode() for p in paths])
        handle = lib.glia_tokenizer_train_files(KINDS.index(kind), TrainOpts(**opts), files, len(paths), byref(error))
        return cls(lib, handle, error)

    @property
    def json(self):
        length = c_size_t()
        return ctypes.string_at(self.lib.glia_tokenizer_json(self.handle, byref(length)), length.value).decode()

    def encode(self, text, pair=None, specials=True, offsets=True):
        """Ids, types and byte offsets."""
        data = text if isinstance(text, bytes) else text.encode()
        opts = EncodeOpts(specials, offsets, None, 0)
        if pair is not None:
            opts.pair, opts.pair_length = pair.encode(), len(pair.encode())
        e, error = Encoding(), Error()
        if self.lib.glia_tokenizer_encode(self.handle, data, c_size_t(len(data)), opts, byref(e), byref(error)):
            raise ValueError(error.message.decode("utf-8", "replace"))
        n = e.n
        result = e.ids[:n], e.types[:n], list(zip(e.begins[:n], e.ends[:n])) if offsets else []
        self.lib.glia_encoding_free(byref(e))
        return result

    def decode(self, ids, skip_specials=True):
        length = c_size_t()
        array = (c_int32 * max(len(ids), 1))(*ids)
        text = self.lib.glia_tokenizer_decode(self.handle, array, c_int64(len(ids)), skip_specials, byref(length))
        result = ctypes.string_at(text, length.value)
        self.lib.release(text)
        return result
