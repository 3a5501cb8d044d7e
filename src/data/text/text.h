/* text.h - internals of the tokenizers.
 *
 *   unicode     characters: classes, lower case, normal forms (utf8proc)
 *   properties  sets of characters by name: categories, scripts
 *   regex       regular expressions over characters, for pre-tokenizers
 *   vocabulary  tokens by id and by name
 *   steps       normalisers, pre-tokenizers, decoders: one table row each, read from JSON
 *   model       BPE, WordPiece, Unigram, whole words
 *   read        parses tokenizer.json into all of these
 *   training    counts words and writes a tokenizer.json from the counts
 *
 * Every tokenizer is built from the text of a tokenizer.json: training and the readers of older formats write that
 * text, and one parser builds everything else from it. Saving writes the text back.
 *
 * Text being processed is an array of glyphs, each with the byte range of the original that it came from. A step may
 * change, add and remove characters, and offsets stay correct.
 */
#ifndef GLIA_SRC_DATA_TEXT_TEXT_H
#define GLIA_SRC_DATA_TEXT_TEXT_H

#include "data/formats/formats.h"
#include "glia/text.h"

/* ---- unicode ------------------------------------------------------------------------------ */

enum { GLIA_RAW = 0x110000, GLIA_REPLACEMENT = 0xFFFD }; /* GLIA_RAW + byte: a byte of invalid UTF-8 */

/* General categories, in the order of utf8proc. */
enum {
    GLIA_CN,
    GLIA_LU,
    GLIA_LL,
    GLIA_LT,
    GLIA_LM,
    GLIA_LO,
    GLIA_MN,
    GLIA_MC,
    GLIA_ME,
    GLIA_ND,
    GLIA_NL,
    GLIA_NO,
    GLIA_PC,
    GLIA_PD,
    GLIA_PS,
    GLIA_PE,
    GLIA_PI,
    GLIA_PF,
    GLIA_PO,
    GLIA_SM,
    GLIA_SC,
    GLIA_SK,
    GLIA_SO,
    GLIA_ZS,
    GLIA_ZL,
    GLIA_ZP,
    GLIA_CC,
    GLIA_CF,
    GLIA_CS,
    GLIA_CO,
    GLIA_CATEGORIES
};
/* Sets of categories, as bit masks. */
#define GLIA_LETTERS (1u << GLIA_LU | 1u << GLIA_LL | 1u << GLIA_LT | 1u << GLIA_LM | 1u << GLIA_LO)
#define GLIA_MARKS   (1u << GLIA_MN | 1u << GLIA_MC | 1u << GLIA_ME)
#define GLIA_NUMBERS (1u << GLIA_ND | 1u << GLIA_NL | 1u << GLIA_NO)
#define GLIA_PUNCTUATION                                                                                               \
    (1u << GLIA_PC | 1u << GLIA_PD | 1u << GLIA_PS | 1u << GLIA_PE | 1u << GLIA_PI | 1u << GLIA_PF | 1u << GLIA_PO)
#define GLIA_SYMBOLS (1u << GLIA_SM | 1u << GLIA_SC | 1u << GLIA_SK | 1u << GLIA_SO)

glia_status glia_unicode_ready(glia_error *error); /* GLIA_E_UNSUPPORTED in a build without utf8proc */
int glia_unicode_category(uint32_t c);
static inline bool glia_unicode_in(uint32_t c, uint32_t categories) {
    return categories >> glia_unicode_category(c) & 1;
}
bool glia_unicode_space(uint32_t c); /* White_Space */
bool glia_unicode_word(uint32_t c);  /* \w: letters, marks, digits, connectors (UTS 18) */
bool glia_unicode_ascii_punctuation(uint32_t c);
/* Lower case of c; returns the number of characters, at most 3. */
int glia_unicode_lower(uint32_t c, uint32_t out[3]);
/* Is there a grapheme boundary between a and b (UAX 29)? *state must be 0 at the start of each grapheme. */
bool glia_unicode_break(uint32_t a, uint32_t b, int32_t *state);
size_t glia_utf8_put(uint32_t c, char out[4]);             /* raw bytes are written unchanged */
uint32_t glia_utf8_take(const char **at, const char *end); /* character at *at < end; advances */

/* A character and the byte range that it came from. */
typedef struct glia_glyph {
    uint32_t c, begin, end;
} glia_glyph;

/* Text being processed. If memory runs out, `failed` stays set and nothing more is added. */
typedef struct glia_glyphs {
    glia_glyph *at;
    int64_t n, capacity;
    bool failed;
} glia_glyphs;
void glia_glyphs_add(glia_glyphs *g, uint32_t c, uint32_t begin, uint32_t end);
void glia_glyphs_append(glia_glyphs *g, const glia_glyph *from, int64_t n);
void glia_glyphs_decode(glia_glyphs *g, const char *text, size_t length);
void glia_glyphs_swap(glia_glyphs *a, glia_glyphs *b);
/* Converts g in place to a normal form of UAX 15; spare is scratch. */
void glia_glyphs_normalize(glia_glyphs *g, glia_glyphs *spare, bool compose, bool compatible);

/* ---- properties --------------------------------------------------------------------------- */

/* A set of characters: the union of the categories and the ranges. */
typedef struct glia_property {
    uint32_t categories;
    const uint32_t (*ranges)[2]; /* first and last, sorted */
    int n;
} glia_property;
/* Finds a category ("Lu", "Uppercase_Letter"), a script ("Han", "Hani") or a POSIX class ("alpha") by name. Case,
 * blanks, hyphens and underscores in names are ignored (UAX 44, LM3). */
bool glia_property_find(const char *name, glia_property *p);
bool glia_property_has(const glia_property *p, uint32_t c);

/* ---- regex -------------------------------------------------------------------------------- */

typedef struct glia_regex glia_regex;
/* The pattern is UTF-8; the result is in the arena. NULL: GLIA_E_UNSUPPORTED with the offset in the pattern. */
glia_regex *glia_regex_compile(glia_arena *arena, const char *pattern, glia_error *error);
/* Scratch memory; initially zero. */
typedef struct glia_regex_stack {
    struct glia_regex_frame *frames;
    int n, capacity;
    bool failed; /* the last search ran out of memory */
} glia_regex_stack;
/* The first match in text[0, n) that begins at `from` or later. 0: none, 1: found, -1: memory ran out or the pattern
 * backtracks too much. */
int glia_regex_find(const glia_regex *regex, const glia_glyph *text, int64_t n, int64_t from, glia_regex_stack *stack,
                    int64_t *begin, int64_t *end);

/* ---- vocabulary --------------------------------------------------------------------------- */

typedef struct glia_vocabulary {
    const char **tokens; /* by id; NULL: unused id */
    uint32_t *lengths;
    int32_t n;      /* largest id + 1 */
    int32_t count;  /* number of tokens */
    glia_hash_table by_name; /* ids */
    int capacity;
} glia_vocabulary;

/* The token's bytes must outlive the vocabulary. false: no memory. A second token of the same name replaces the first's
 * entry. */
bool glia_vocabulary_set(glia_vocabulary *v, const char *token, size_t length, int32_t id);
int32_t glia_vocabulary_find(const glia_vocabulary *v, const char *token, size_t length); /* -1: none */
void glia_vocabulary_free(glia_vocabulary *v);

/* ---- steps -------------------------------------------------------------------------------- */

typedef enum glia_behavior {
    GLIA_REMOVED,
    GLIA_ISOLATED,
    GLIA_MERGED_WITH_PREVIOUS,
    GLIA_MERGED_WITH_NEXT,
    GLIA_CONTIGUOUS
} glia_behavior;

typedef struct glia_piece {
    int64_t from, n; /* range of glyphs */
} glia_piece;

/* Scratch memory of one encoding. */
typedef struct glia_workspace {
    glia_glyphs text, spare;
    glia_piece *pieces, *spare_pieces;
    int n_pieces, pieces_capacity, n_spare, spare_capacity;
    glia_regex_stack stack;
    glia_text bytes;  /* of the current piece */
    uint32_t *starts; /* offsets of its glyphs in `bytes`; one extra at the end */
    int64_t starts_capacity;
    struct glia_token *tokens; /* of the text up to here */
    int n_tokens, tokens_capacity;
    void *model; /* scratch of the model: glia_workspace_room() */
    size_t model_bytes;
    struct glia_cache *cache; /* tokens of earlier pieces */
    bool failed;              /* memory ran out */
    const char *complaint;    /* message of any other error */
    uint32_t place;           /* its offset in the text */
} glia_workspace;
void glia_workspace_free(glia_workspace *w);
void *glia_workspace_room(glia_workspace *w, size_t bytes); /* NULL: memory ran out */

typedef struct glia_token {
    int32_t id;
    uint32_t begin, end; /* from a model: glyphs of the piece; finally: bytes of the text */
} glia_token;

typedef struct glia_step glia_step;
typedef struct glia_strings glia_strings;

typedef struct glia_step_reader {
    glia_arena *arena;
    const glia_vocabulary *vocabulary;
    bool inside; /* within a sequence of split steps */
    glia_error *error;
} glia_step_reader;

/* A row of the tables of normalisers, pre-tokenizers and decoders. */
typedef struct glia_step_kind {
    const char *name;
    glia_status (*read)(glia_step_reader *reader, const glia_json *json, glia_step *step); /* NULL: no options */
    union {
        void (*normalize)(const glia_step *step, glia_workspace *w);
        void (*cut)(const glia_step *step, glia_workspace *w,
                    bool first); /* first: the glyphs begin at offset 0 of the text */
        bool (*decode)(const glia_step *step, glia_strings *strings);
    } run;
} glia_step_kind;

struct glia_step {
    const glia_step_kind *kind;
    const char *text, *content; /* pattern or prefix, and its replacement; Precompiled: double array and strings */
    size_t text_length, content_length;
    glia_glyphs pattern; /* `text` as glyphs; `filler`: `content` as glyphs */
    glia_glyphs filler;
    const glia_regex *regex; /* replaces text */
    glia_behavior behavior;
    bool invert;
    bool flags[4]; /* options; meaning depends on the step */
    int64_t first, second;
    const glia_step *steps[16]; /* steps of a sequence */
    int n_steps;
};

extern const glia_step_kind glia_normalizers[], glia_cutters[], glia_decoders[]; /* end: name NULL */

/* Reads a step of one of the tables; NULL: error. `what` names the table in messages: "normalizer". */
const glia_step *glia_step_read(glia_step_reader *reader, const glia_step_kind *table, const char *what,
                                const glia_json *json);
void glia_step_free(const glia_step *step); /* frees what is not in the arena */

/* Read options from JSON; if absent or null, the value is unchanged. */
glia_status glia_read_flag(glia_step_reader *reader, const glia_json *object, const char *key, bool *flag);
glia_status glia_read_text(glia_step_reader *reader, const glia_json *object, const char *key, const char **text);
glia_status glia_read_int(glia_step_reader *reader, const glia_json *object, const char *key, int64_t *value);
/* Reads {"String": ...} or {"Regex": ...} at `key` into text and pattern, or regex. */
glia_status glia_read_pattern(glia_step_reader *reader, const glia_json *object, const char *key, glia_step *step);
glia_status glia_read_steps(glia_step_reader *reader, const glia_step_kind *table, const char *what,
                            const glia_json *object, const char *key, glia_step *step);
glia_status glia_fail_json(glia_error *error, glia_status status, const glia_json *at, const char *what);

/* The character that represents a byte in GPT-2's vocabularies, and the inverse; -1: none. */
uint32_t glia_byte_character(uint8_t byte);
int glia_character_byte(uint32_t c);

/* SentencePiece's normalisation tables (precompiled.c). */
glia_status glia_precompiled_read(glia_step_reader *reader, const glia_json *json, glia_step *step);
void glia_precompiled_normalize(const glia_step *step, glia_workspace *w);

/* Finds the step's pattern or regex at `from` or later; same contract as glia_regex_find(). */
int glia_step_find(const glia_step *step, const glia_glyph *text, int64_t n, int64_t from, glia_regex_stack *stack,
                   int64_t *begin, int64_t *end);
void glia_give_up(glia_workspace *w); /* records the error after a search that returned -1 */

/* Strings that decoders modify. */
struct glia_strings {
    glia_text *at;
    int64_t n;
};

/* ---- model -------------------------------------------------------------------------------- */

typedef struct glia_token_model glia_token_model;

typedef struct glia_token_model_kind {
    const char *name;
    glia_status (*read)(glia_token_model *model, const glia_json *json, glia_step_reader *reader);
    /* Adds the tokens of a piece; its bytes and starts are in the workspace. */
    void (*cut)(const glia_token_model *model, const glia_glyph *text, int64_t n, glia_workspace *w);
} glia_token_model_kind;

/* Merges a pair of tokens into one; lower ranks first. */
typedef struct glia_bpe_merge {
    int32_t left, right, rank, id;
} glia_bpe_merge;

struct glia_token_model {
    const glia_token_model_kind *kind;
    glia_vocabulary vocabulary;
    int32_t unknown;             /* -1: none */
    const char *prefix, *suffix; /* of tokens inside and at the end of a word; NULL: none */
    bool fuse_unknown, byte_fallback, ignore_merges;
    int32_t bytes[256];    /* byte fallback: ids of <0x00> ... <0xFF>; -1: none */
    int32_t single[0x800]; /* ids of characters; -1: none */
    glia_bpe_merge *merges; /* hash table by (left, right), open addressing; left -1: free slot */
    uint32_t merges_mask;
    int64_t word_most;     /* WordPiece: words with more characters are unknown */
    double *scores, least; /* Unigram: scores by id, and the lowest */
    int64_t longest;       /* Unigram, WordPiece: characters of the longest token */
};

extern const glia_token_model_kind glia_token_model_kinds[];
const glia_bpe_merge *glia_merge_find(const glia_token_model *model, int32_t left, int32_t right); /* NULL: none */
void glia_token_add(glia_workspace *w, int32_t id, int64_t begin, int64_t end);
glia_status glia_token_model_read(glia_token_model *model, const glia_json *json, glia_step_reader *reader);
void glia_token_model_free(glia_token_model *model);

glia_status glia_bpe_read(glia_token_model *model, const glia_json *json, glia_step_reader *reader);
void glia_bpe_cut(const glia_token_model *model, const glia_glyph *text, int64_t n, glia_workspace *w);
glia_status glia_unigram_read(glia_token_model *model, const glia_json *json, glia_step_reader *reader);
void glia_unigram_cut(const glia_token_model *model, const glia_glyph *text, int64_t n, glia_workspace *w);
/* The most likely segmentation of bytes[0, starts[n]), with characters at starts[0 .. n]. For the best path to
 * character k, begins[k] is the start of its last piece and ids[k] the id of that piece (-1: unknown). `best` receives
 * the scores; all three have n + 1 entries. */
void glia_unigram_best(const glia_token_model *model, const char *bytes, const uint32_t *starts, int64_t n,
                       double *best, int32_t *begins, int32_t *ids);

/* ---- tokenizer ---------------------------------------------------------------------------- */

typedef struct glia_added {
    const char *content;
    size_t length;
    int32_t id;
    bool single_word, lstrip, rstrip, normalized, special;
    glia_glyphs pattern; /* content, normalised if `normalized` */
} glia_added;

/* One slot of a post-processor's template. */
typedef struct glia_slot {
    int source; /* 0: special token, 1: first text, 2: second text */
    int32_t id;
    uint8_t type;
} glia_slot;

typedef struct glia_template {
    glia_slot *slots;
    int n;
} glia_template;

struct glia_tokenizer {
    glia_arena arena;
    char *json;
    size_t json_length;
    const glia_step *normalizer, *cutter, *decoder;
    glia_token_model model;
    glia_added *added;
    int n_added;
    uint8_t added_first[2][128 + 1]; /* whether any begins with this character; [1]: normalized; [128]: non-ASCII */
    glia_vocabulary all;             /* tokens of the model and added ones */
    bool *special;                   /* by id */
    glia_template single, pair;
    bool trim, trim_prefix; /* offsets exclude spaces at the ends of tokens */
};

/* Extracts the added tokens, normalises and cuts the rest; the tokens are written to the workspace. */
glia_status glia_encode_text(const glia_tokenizer *t, const char *text, size_t length, glia_workspace *w,
                             glia_error *error);

/* For training: calls `take` for each piece that the normaliser and pre-tokenizer produce from the text. */
typedef bool (*glia_piece_taker)(void *context, const glia_glyph *glyphs, int64_t n);
glia_status glia_encode_pieces(const glia_tokenizer *t, const char *text, size_t length, glia_workspace *w,
                               glia_piece_taker take, void *context, glia_error *error);

/* ---- training ----------------------------------------------------------------------------- */

/* Pieces of the texts and their counts, sorted by bytes. */
typedef struct glia_counts {
    glia_string *words;
    int64_t *counts;
    int32_t n;
    glia_arena arena;
} glia_counts;

/* Input of a trainer. */
typedef struct glia_trainer {
    glia_tokenizer_opts opts;
    const char *specials[64];
    int n_specials;
    const glia_counts *counts;
    glia_pool *pool;
    glia_error *error;
} glia_trainer;

/* Trains a model and appends its JSON. */
glia_status glia_train_bpe(const glia_trainer *trainer, bool wordpiece, glia_text *out);
glia_status glia_train_unigram(const glia_trainer *trainer, glia_text *out);

/* Convert the files of GPT-2 and BERT to a tokenizer.json. */
glia_status glia_gpt2_json(const char *vocab_path, const char *merges_path, glia_text *out, glia_error *error);
glia_status glia_vocab_txt_json(const char *path, const uint8_t *bytes, size_t length, glia_text *out,
                                glia_error *error);
/* Appends everything before the model: from the opening brace to "model": */
void glia_write_shell(glia_text *out, glia_tokenizer_kind kind, bool lowercase, const char *const *specials,
                      const int32_t *ids, int n_specials);

#endif
