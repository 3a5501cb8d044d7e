/* properties.c - sets of characters by name, for \p{..} and [:..:] in patterns: general categories, scripts, and the
 * POSIX classes as defined by Oniguruma, for which most patterns are written.
 */
#include <string.h>

#include "data/text/text.h"

enum { NAME_MOST = 64 };

#define BIT(category) (1u << GLIA_##category)
#define CASED         (BIT(LU) | BIT(LL) | BIT(LT))
#define SEPARATORS    (BIT(ZS) | BIT(ZL) | BIT(ZP))
#define CONTROLS      (BIT(CC) | BIT(CF) | BIT(CS) | BIT(CO) | BIT(CN))
#define ALL           ((1u << GLIA_CATEGORIES) - 1)
#define GRAPHIC       (ALL & ~(SEPARATORS | BIT(CC) | BIT(CS) | BIT(CN)))
#define ALPHABETIC    (GLIA_LETTERS | BIT(NL))

/* Names in lower case without ignored characters, separated by blanks; categories; name of the range table, or NULL. */
static const struct {
    const char *names;
    uint32_t categories;
    const char *ranges;
} classes[] = {
    { "lu uppercaseletter", BIT(LU), NULL },
    { "ll lowercaseletter", BIT(LL), NULL },
    { "lt titlecaseletter", BIT(LT), NULL },
    { "lm modifierletter", BIT(LM), NULL },
    { "lo otherletter", BIT(LO), NULL },
    { "mn nonspacingmark", BIT(MN), NULL },
    { "mc spacingmark", BIT(MC), NULL },
    { "me enclosingmark", BIT(ME), NULL },
    { "nd decimalnumber digit", BIT(ND), NULL },
    { "nl letternumber", BIT(NL), NULL },
    { "no othernumber", BIT(NO), NULL },
    { "pc connectorpunctuation", BIT(PC), NULL },
    { "pd dashpunctuation", BIT(PD), NULL },
    { "ps openpunctuation", BIT(PS), NULL },
    { "pe closepunctuation", BIT(PE), NULL },
    { "pi initialpunctuation", BIT(PI), NULL },
    { "pf finalpunctuation", BIT(PF), NULL },
    { "po otherpunctuation", BIT(PO), NULL },
    { "sm mathsymbol", BIT(SM), NULL },
    { "sc currencysymbol", BIT(SC), NULL },
    { "sk modifiersymbol", BIT(SK), NULL },
    { "so othersymbol", BIT(SO), NULL },
    { "zs spaceseparator", BIT(ZS), NULL },
    { "zl lineseparator", BIT(ZL), NULL },
    { "zp paragraphseparator", BIT(ZP), NULL },
    { "cc control cntrl", BIT(CC), NULL },
    { "cf format", BIT(CF), NULL },
    { "cs surrogate", BIT(CS), NULL },
    { "co privateuse", BIT(CO), NULL },
    { "cn unassigned", BIT(CN), NULL },
    { "l letter", GLIA_LETTERS, NULL },
    { "lc casedletter", CASED, NULL },
    { "m mark combiningmark", GLIA_MARKS, NULL },
    { "n number", GLIA_NUMBERS, NULL },
    { "p punctuation punct", GLIA_PUNCTUATION, NULL },
    { "s symbol", GLIA_SYMBOLS, NULL },
    { "z separator", SEPARATORS, NULL },
    { "c other", CONTROLS, NULL },
    { "any", ALL, NULL },
    { "assigned", ALL & ~BIT(CN), NULL },
    { "graph", GRAPHIC, NULL },
    { "print", GRAPHIC | BIT(ZS), NULL },
    { "alphabetic alpha", ALPHABETIC, "otheralphabetic" },
    { "alnum", ALPHABETIC | BIT(ND), "otheralphabetic" },
    { "lowercase lower", BIT(LL), "otherlowercase" },
    { "uppercase upper", BIT(LU), "otheruppercase" },
    { "blank", BIT(ZS), "tab" },
    { "xdigit", 0, "asciihexdigit" },
};

#define PROPERTY(names, ...)                                                                                           \
    { names, (const uint32_t[][2]){ __VA_ARGS__ }, sizeof((const uint32_t[][2]){ __VA_ARGS__ }) / sizeof(uint32_t[2]) },
static const struct {
    const char *names;
    const uint32_t (*ranges)[2];
    size_t n;
} tables[] = {
#include "data/text/properties.def"
    PROPERTY("tab", { 9, 9 }) PROPERTY("ascii", { 0, 0x7F })
};

/* Is `name` one of the blank-separated names? */
static bool is_of(const char *names, const char *name) {
    const size_t n = strlen(name);
    for (const char *at = names; (at = strstr(at, name)); at += n) {
        const bool begins = at == names || at[-1] == ' ';
        if (begins && (at[n] == ' ' || !at[n])) return true;
    }
    return false;
}

static bool find_table(const char *name, glia_property *p) {
    for (int i = 0; i < GLIA_COUNT(tables); i++) {
        if (!is_of(tables[i].names, name)) continue;
        p->ranges = tables[i].ranges;
        p->n = (int)tables[i].n;
        return true;
    }
    return false;
}

bool glia_property_find(const char *name, glia_property *p) {
    char plain[NAME_MOST];
    size_t n = 0;
    for (; *name; name++) {
        if (strchr(" -_", *name)) continue;
        if (n == sizeof plain - 1) return false;
        plain[n++] = (char)(*name >= 'A' && *name <= 'Z' ? *name + 32 : *name);
    }
    plain[n] = 0;
    *p = (glia_property){ 0 };
    if (n == 0) return false;
    for (int i = 0; i < GLIA_COUNT(classes); i++) {
        if (!is_of(classes[i].names, plain)) continue;
        p->categories = classes[i].categories;
        return !classes[i].ranges || find_table(classes[i].ranges, p);
    }
    return find_table(plain, p);
}

bool glia_property_has(const glia_property *p, uint32_t c) {
    if (p->categories && glia_unicode_in(c, p->categories)) return true;
    int low = 0, high = p->n; /* the first range that does not end before c */
    while (low < high) {
        const int middle = (low + high) / 2;
        if (p->ranges[middle][1] < c)
            low = middle + 1;
        else
            high = middle;
    }
    return low < p->n && p->ranges[low][0] <= c;
}
