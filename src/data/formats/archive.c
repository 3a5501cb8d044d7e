/* archive.c - reads files from a zip, a tar, a compressed tar or a folder, in place.
 *
 * An archive is an index of members, sorted by name, with the position of each member's bytes. The index of a zip comes
 * from the central directory at its end; a tar is scanned header by header. Both are memory-mapped. A stored member is
 * read without a copy; a deflated one is inflated by itself when it is read. A compressed tar is decompressed into
 * memory once, by zlib (.gz) or libarchive (.xz, .zst, .bz2, .lzma, .lz4, ...); memory grows with the actual output.
 *
 * glia_unpack_limit() limits the decompressed size, for a zip the sum over all members: several entries may point at
 * the same bytes.
 *
 * Nothing is written to disk, so a name such as "../x" is harmless; it is still rejected, as are sizes that exceed the
 * file.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "data/formats/formats.h"

#if GLIA_HAVE_ZLIB
#include <zlib.h>
#endif
#if GLIA_HAVE_ARCHIVE
#include <archive.h>
#include <archive_entry.h>
#endif

enum { NAME_MOST = 4096, DEPTH_MOST = 16, MEMBERS_MOST = 1 << 26, BLOCK = 512 };

/* State while an index is built. */
typedef struct build {
    glia_archive *archive;
    int capacity;
    size_t unpacked; /* bytes of all members of a zip */
    glia_error *error;
} build;

/* ---- names -------------------------------------------------------------------------------- */

/* Copies the name without "./" and repeated slashes into the arena. `at`: its offset in the file. */
static glia_status clean_name(build *b, const uint8_t *name, size_t length, size_t at, const char **out) {
    int shown = (int)GLIA_MIN(length, (size_t)60);
    bool valid = length > 0 && length <= NAME_MOST;
    for (size_t i = 0, n; valid && i < length; i += n) {
        n = name[i] ? glia_utf8_length(name + i, length - i) : 0;
        valid = n > 0;
        n += !n;
    }
    if (!valid) return glia_fail(b->error, GLIA_E_FORMAT, "offset %zu: a file name is not valid UTF-8", at);
    char *clean = glia_arena_alloc(&b->archive->arena, length + 1);
    if (!clean) return glia_fail_nomem(b->error);
    size_t used = 0;
    bool leads_out = name[0] == '/';
    for (size_t i = 0, n; i < length && !leads_out; i += n + 1) {
        for (n = 0; i + n < length && name[i + n] != '/'; n++) {}
        leads_out = n == 2 && name[i] == '.' && name[i + 1] == '.';
        if (n == 0 || (n == 1 && name[i] == '.')) continue;
        if (used) clean[used++] = '/';
        memcpy(clean + used, name + i, n);
        used += n;
    }
    *out = clean;
    if (!leads_out) return GLIA_OK;
    return glia_fail(b->error, GLIA_E_FORMAT, "offset %zu: the name \"%.*s\" is outside the archive", at, shown,
                     (const char *)name);
}

static glia_status add_member(build *b, glia_member member) {
    glia_archive *a = b->archive;
    if (!*member.name) return GLIA_OK;
    if (a->n == MEMBERS_MOST)
        return glia_fail(b->error, GLIA_E_UNSUPPORTED, "offset 0: the archive has too many files");
    if (!glia_grow((void **)&a->members, a->n, &b->capacity, sizeof *a->members)) return glia_fail_nomem(b->error);
    member.order = a->n;
    a->members[a->n++] = member;
    return GLIA_OK;
}

static int compare_members(const void *a, const void *b) {
    const glia_member *p = a, *q = b;
    int by_name = strcmp(p->name, q->name);
    return by_name ? by_name : (p->order > q->order) - (p->order < q->order);
}

/* Sorts by name. Of members with equal names the last is kept, as in a tar that was appended to. */
static void sort_members(glia_archive *a) {
    if (a->n > 1) qsort(a->members, (size_t)a->n, sizeof *a->members, compare_members);
    int kept = 0;
    for (int i = 0; i < a->n; i++) {
        if (i + 1 < a->n && !strcmp(a->members[i].name, a->members[i + 1].name)) continue;
        a->members[kept++] = a->members[i];
    }
    a->n = kept;
}

/* ---- zip (PKWARE's APPNOTE 6.3) ----------------------------------------------------------- */

enum { ZIP_END = 22, ZIP_END64 = 56, ZIP_LOCATOR64 = 20, ZIP_ENTRY = 46, ZIP_LOCAL = 30 };

typedef struct zip_contents {
    size_t at, length, entries;
} zip_contents;

static bool is_zip(const uint8_t *bytes, size_t length) {
    return length >= 4 && (!memcmp(bytes, "PK\3\4", 4) || !memcmp(bytes, "PK\5\6", 4));
}

/* Finds the central directory from the record at the end of the file. */
static glia_status find_contents(const build *b, zip_contents *c) {
    const uint8_t *bytes = b->archive->bytes;
    size_t length = b->archive->length, at = length < ZIP_END ? 0 : length - ZIP_END + 1;
    size_t least = length > ZIP_END + 65535 ? length - ZIP_END - 65535 : 0;
    bool found = false;
    while (at > least && !found) {
        at--;
        found = !memcmp(bytes + at, "PK\5\6", 4) && at + ZIP_END + glia_little16(bytes + at + 20) == length;
    }
    if (!found) {
        return glia_fail(b->error, GLIA_E_FORMAT,
                         "offset %zu: the zip file has no central directory; it may be truncated", length);
    }
    const uint8_t *end = bytes + at;
    *c = (zip_contents){ glia_little32(end + 16), glia_little32(end + 12), glia_little16(end + 10) };
    bool wide = at >= ZIP_LOCATOR64 && !memcmp(bytes + at - ZIP_LOCATOR64, "PK\6\7", 4);
    if (wide) {
        uint64_t end64 = glia_little64(bytes + at - ZIP_LOCATOR64 + 8);
        if (end64 > at - ZIP_LOCATOR64 || at - ZIP_LOCATOR64 - end64 < ZIP_END64 ||
            memcmp(bytes + end64, "PK\6\6", 4)) {
            return glia_fail(b->error, GLIA_E_FORMAT, "offset %zu: the zip64 record is damaged", at - ZIP_LOCATOR64);
        }
        end = bytes + end64;
        *c = (zip_contents){ glia_little64(end + 48), glia_little64(end + 40), glia_little64(end + 32) };
    }
    if (c->at > at || c->length > at - c->at || c->entries > c->length / ZIP_ENTRY) {
        return glia_fail(b->error, GLIA_E_FORMAT,
                         "offset %zu: the zip's central directory of %zu files does not fit into the file", at,
                         c->entries);
    }
    return GLIA_OK;
}

/* Reads 64-bit sizes and offset from the extra field where the 32-bit ones are 0xFFFFFFFF. */
static bool read_zip64(const uint8_t *extra, size_t length, uint64_t *size, uint64_t *packed, uint64_t *local) {
    while (length >= 4) {
        size_t n = glia_little16(extra + 2);
        if (n > length - 4) return false;
        if (glia_little16(extra) == 1) {
            uint64_t *const wide[] = { size, packed, local };
            const uint8_t *p = extra + 4;
            for (int i = 0; i < 3; i++) {
                if (*wide[i] != UINT32_MAX) continue;
                if (n < 8) return false;
                *wide[i] = glia_little64(p);
                p += 8;
                n -= 8;
            }
            return true;
        }
        extra += 4 + n;
        length -= 4 + n;
    }
    return true;
}

/* Reads the entry at `at`, of at most `rest` bytes; *used: its length. */
static glia_status read_zip_entry(build *b, size_t at, size_t rest, size_t *used) {
    const uint8_t *e = b->archive->bytes + at;
    if (rest < ZIP_ENTRY || memcmp(e, "PK\1\2", 4)) {
        return glia_fail(b->error, GLIA_E_FORMAT, "offset %zu: the entry of the zip's central directory is invalid",
                         at);
    }
    size_t name = glia_little16(e + 28), extra = glia_little16(e + 30), comment = glia_little16(e + 32);
    if (name + extra + comment > rest - ZIP_ENTRY) {
        return glia_fail(b->error, GLIA_E_FORMAT, "offset %zu: the zip entry is longer than the central directory", at);
    }
    *used = ZIP_ENTRY + name + extra + comment;
    uint64_t packed = glia_little32(e + 20), size = glia_little32(e + 24), local = glia_little32(e + 42);
    bool folder = name && e[ZIP_ENTRY + name - 1] == '/';
    bool link = e[5] == 3 && (glia_little32(e + 38) >> 16 & 0170000) == 0120000; /* made by Unix, S_IFLNK */
    glia_member member = { .method = (uint8_t)glia_little16(e + 10), .crc = glia_little32(e + 16) };
    glia_status status = clean_name(b, e + ZIP_ENTRY, name, at + ZIP_ENTRY, &member.name);
    if (status || folder || link) return status;
    if (!read_zip64(e + ZIP_ENTRY + name, extra, &size, &packed, &local)) {
        return glia_fail(b->error, GLIA_E_FORMAT, "offset %zu: \"%s\": the zip64 field is damaged", at, member.name);
    }
    if (glia_little16(e + 8) & 1) {
        return glia_fail(b->error, GLIA_E_UNSUPPORTED, "offset %zu: \"%s\" is encrypted", at, member.name);
    }
    if (glia_little16(e + 10) != 0 && glia_little16(e + 10) != 8) {
        return glia_fail(b->error, GLIA_E_UNSUPPORTED,
                         "offset %zu: \"%s\" is compressed by method %u; supported are 0 (stored) and 8 (deflated)",
                         at, member.name, (unsigned)glia_little16(e + 10));
    }
    uint64_t most = b->archive->length;
    if (local > most || packed > most - local || (member.method == 0 ? size != packed : size / 1032 > packed)) {
        return glia_fail(b->error, GLIA_E_FORMAT,
                         "offset %zu: \"%s\": %llu bytes, %llu compressed, do not fit into the file", at, member.name,
                         (unsigned long long)size, (unsigned long long)packed);
    }
    size_t limit = glia_unpack_limit(b->archive->length);
    if (size > limit - b->unpacked) {
        return glia_fail(b->error, GLIA_E_FORMAT,
                         "offset %zu: \"%s\": the files unpack to more than %zu bytes, the limit for a zip of %zu", at,
                         member.name, limit, b->archive->length);
    }
    b->unpacked += size;
    member.offset = local;
    member.packed = packed;
    member.length = size;
    return add_member(b, member);
}

static glia_status index_zip(build *b) {
    zip_contents c = { 0 };
    glia_status status = find_contents(b, &c);
    b->archive->kind = GLIA_ARCHIVE_ZIP;
    for (size_t i = 0, used = 0; i < c.entries && !status; i++) {
        status = read_zip_entry(b, c.at, c.length, &used);
        if (status) break;
        c.at += used;
        c.length -= used;
    }
    return status;
}

/* Finds a member's bytes. They follow its local header, whose name and extra field may differ in length. */
static glia_status find_zip_bytes(const glia_archive *a, const glia_member *m, const uint8_t **bytes,
                                  glia_error *error) {
    const uint8_t *local = a->bytes + m->offset;
    size_t rest = a->length - m->offset;
    size_t skip = rest < ZIP_LOCAL ? 0 : ZIP_LOCAL + (size_t)glia_little16(local + 26) + glia_little16(local + 28);
    if (rest < ZIP_LOCAL || memcmp(local, "PK\3\4", 4) || skip > rest || m->packed > rest - skip) {
        return glia_fail(error, GLIA_E_FORMAT, "offset %zu: the zip has no local header here", m->offset);
    }
    *bytes = local + skip;
    return GLIA_OK;
}

#if GLIA_HAVE_ZLIB

static glia_status inflate_member(const glia_member *m, const uint8_t *from, glia_blob *blob, glia_error *error) {
    uint8_t *out = malloc(m->length + 1); /* one byte more, to detect excess output */
    if (!out) return glia_fail_nomem(error);
    z_stream z = { 0 };
    if (inflateInit2(&z, -15) != Z_OK) {
        free(out);
        return glia_fail_nomem(error);
    }
    size_t in = 0, done = 0;
    int code = Z_OK;
    while (code == Z_OK) {
        uInt give = (uInt)GLIA_MIN(m->packed - in, (size_t)1 << 30),
             room = (uInt)GLIA_MIN(m->length + 1 - done, (size_t)1 << 30);
        z.next_in = (z_const Bytef *)(from + in);
        z.avail_in = give;
        z.next_out = out + done;
        z.avail_out = room;
        code = inflate(&z, Z_NO_FLUSH);
        in += give - z.avail_in;
        done += room - z.avail_out;
    }
    inflateEnd(&z);
    if (code == Z_STREAM_END && done == m->length && in == m->packed) {
        *blob = (glia_blob){ .bytes = out, .length = done, .owned = out };
        return GLIA_OK;
    }
    free(out);
    return code == Z_MEM_ERROR
               ? glia_fail_nomem(error)
               : glia_fail(error, GLIA_E_FORMAT, "offset %zu: the deflated data are damaged", m->offset);
}

static bool crc_matches(const glia_member *m, const glia_blob *blob) {
    return crc32_z(0, blob->bytes, blob->length) == m->crc;
}

#else

static glia_status inflate_member(const glia_member *m, const uint8_t *from, glia_blob *blob, glia_error *error) {
    (void)from, (void)blob;
    return glia_fail(error, GLIA_E_UNSUPPORTED, "offset %zu: the file is deflated, but this build of Glia has no zlib",
                     m->offset);
}

static bool crc_matches(const glia_member *m, const glia_blob *blob) {
    (void)m, (void)blob;
    return true;
}

#endif

static glia_status read_zip(const glia_archive *a, const glia_member *m, glia_blob *blob, glia_error *error) {
    const uint8_t *bytes = NULL;
    glia_status status = find_zip_bytes(a, m, &bytes, error);
    if (!status && m->method == 0) *blob = (glia_blob){ .bytes = bytes, .length = m->length };
    if (!status && m->method == 8) status = inflate_member(m, bytes, blob, error);
    if (status || crc_matches(m, blob)) return status;
    glia_blob_free(blob);
    return glia_fail(error, GLIA_E_FORMAT, "offset %zu: the checksum does not match", m->offset);
}

/* ---- tar (POSIX.1-2001 and GNU) ----------------------------------------------------------- */

/* Parses a number in octal, or in base 256 if its first bit is set; false: invalid, or above 2^62. */
static bool tar_number(const uint8_t *p, size_t n, uint64_t *value) {
    *value = 0;
    if (*p & 0x80) {
        for (size_t i = 0; i < n; i++) {
            if (*value >> 54) return false;
            *value = *value << 8 | (i ? p[i] : p[i] & 0x7F);
        }
        return true;
    }
    size_t i = 0;
    while (i < n && p[i] == ' ') i++;
    for (; i < n && p[i] >= '0' && p[i] <= '7'; i++) *value = *value * 8 + (uint64_t)(p[i] - '0');
    return i == n || p[i] == ' ' || p[i] == 0;
}

/* Checks a header's checksum: the sum of its bytes, with the checksum field itself counted as spaces. */
static bool is_tar(const uint8_t *h, size_t length) {
    uint64_t wanted, sum = 0;
    if (length < BLOCK || !tar_number(h + 148, 8, &wanted)) return false;
    for (int i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? ' ' : h[i];
    return sum == wanted;
}

typedef struct tar_next { /* name and size from extended headers, for the next file */
    const uint8_t *name;
    size_t name_length;
    bool sized;
    uint64_t size;
} tar_next;

/* Parses the records "LENGTH KEY=VALUE\n" of a pax header. */
static bool read_pax(const uint8_t *p, size_t length, tar_next *next) {
    while (length > 0 && *p) {
        size_t n = 0, digits = 0;
        while (digits < length && p[digits] >= '0' && p[digits] <= '9' && n < NAME_MOST * 16) {
            n = n * 10 + (size_t)(p[digits++] - '0');
        }
        if (!digits || n > length || n < digits + 3 || p[digits] != ' ' || p[n - 1] != '\n') return false;
        const uint8_t *key = p + digits + 1, *end = p + n - 1, *equals = memchr(key, '=', (size_t)(end - key));
        if (!equals) return false;
        if (equals - key == 4 && !memcmp(key, "path", 4)) {
            next->name = equals + 1;
            next->name_length = (size_t)(end - equals - 1);
        }
        if (equals - key == 4 && !memcmp(key, "size", 4)) {
            next->sized = true;
            next->size = 0;
            for (const uint8_t *d = equals + 1; d < end; d++) {
                if (*d < '0' || *d > '9' || next->size >> 58) return false;
                next->size = next->size * 10 + (uint64_t)(*d - '0');
            }
        }
        p += n;
        length -= n;
    }
    return true;
}

static size_t field_length(const uint8_t *p, size_t most) {
    const uint8_t *end = memchr(p, 0, most);
    return end ? (size_t)(end - p) : most;
}

/* Adds the regular file whose header is at `at`, followed by its bytes. */
static glia_status add_tar_file(build *b, size_t at, uint64_t size, const tar_next *next) {
    const uint8_t *h = b->archive->bytes + at;
    uint8_t joined[256];
    const uint8_t *name = next->name;
    size_t length = next->name_length, prefix = field_length(h + 345, 155);
    if (!name) {
        name = h;
        length = field_length(h, 100);
        if (!memcmp(h + 257, "ustar\0", 6) && prefix) {
            memcpy(joined, h + 345, prefix);
            joined[prefix] = '/';
            memcpy(joined + prefix + 1, h, length);
            name = joined;
            length += prefix + 1;
        }
    }
    glia_member member = { .offset = at + BLOCK, .packed = size, .length = size };
    glia_status status = clean_name(b, name, length, at, &member.name);
    if (status || (length && name[length - 1] == '/')) return status; /* a folder, in the format of old tars */
    return add_member(b, member);
}

static glia_status index_tar(build *b) {
    const uint8_t *bytes = b->archive->bytes;
    size_t length = b->archive->length, at = 0;
    tar_next next = { 0 };
    glia_status status = GLIA_OK;
    b->archive->kind = GLIA_ARCHIVE_TAR;
    while (!status) {
        if (length - at < BLOCK) {
            return glia_fail(b->error, GLIA_E_FORMAT, "offset %zu: the tar archive is truncated", length);
        }
        const uint8_t *h = bytes + at;
        if (!*h && field_length(h + 1, BLOCK - 1) == 0) break; /* a block of zeros ends the archive */
        uint64_t size;
        if (!is_tar(h, BLOCK) || !tar_number(h + 124, 12, &size)) {
            return glia_fail(b->error, GLIA_E_FORMAT, "offset %zu: the tar header is damaged", at);
        }
        uint8_t type = h[156];
        bool extended = type == 'x' || type == 'g' || type == 'L' || type == 'K';
        if (!extended && next.sized) size = next.size;
        if (type >= '1' && type <= '6') size = 0; /* links, devices, folders have no bytes */
        if (size > length - at - BLOCK) {
            return glia_fail(b->error, GLIA_E_FORMAT, "offset %zu: the file has %llu bytes, but only %zu are left", at,
                             (unsigned long long)size, length - at - BLOCK);
        }
        if (type == 'x' && !read_pax(h + BLOCK, size, &next)) {
            return glia_fail(b->error, GLIA_E_FORMAT, "offset %zu: the extended tar header is damaged", at + BLOCK);
        }
        if (type == 'L') {
            next.name = h + BLOCK;
            next.name_length = field_length(h + BLOCK, size);
        }
        if (type == 'S')
            status =
                glia_fail(b->error, GLIA_E_UNSUPPORTED, "offset %zu: sparse files of GNU tar are not supported", at);
        if (type == '0' || type == 0 || type == '7') status = add_tar_file(b, at, size, &next);
        if (!extended) next = (tar_next){ 0 };
        size_t blocks = size / BLOCK + (size % BLOCK != 0);
        at += BLOCK + GLIA_MIN(blocks * BLOCK, length - at - BLOCK);
    }
    return status;
}

/* ---- compressed archives ------------------------------------------------------------------ */

/* Decompresses any format of zlib or libarchive, up to glia_unpack_limit(). */
#if GLIA_HAVE_ARCHIVE

/* The filters that libarchive implements itself. archive_read_support_filter_all() also enables some that run external
 * programs (lrzip, lzop, grzip), which a data file must not do. */
static void support_filters(struct archive *a) {
    archive_read_support_filter_bzip2(a);
    archive_read_support_filter_compress(a);
    archive_read_support_filter_gzip(a);
    archive_read_support_filter_lz4(a);
    archive_read_support_filter_lzip(a);
    archive_read_support_filter_lzma(a);
    archive_read_support_filter_xz(a);
    archive_read_support_filter_zstd(a);
}

static glia_status fail_archive(struct archive *a, glia_error *error) {
    const char *why = archive_error_string(a);
    if (archive_errno(a) == ENOMEM) return glia_fail_nomem(error);
    return glia_fail(error, GLIA_E_FORMAT, "offset %lld: %s", (long long)archive_filter_bytes(a, -1),
                     why ? why : "the compression is not supported");
}

static glia_status pump(struct archive *a, size_t limit, uint8_t **out, size_t *used, glia_error *error) {
    size_t capacity = 0;
    for (;;) {
        if (*used == capacity) {
            capacity = capacity ? GLIA_MIN(capacity * 2, limit + 1) : GLIA_MIN((size_t)1 << 20, limit + 1);
            uint8_t *grown = realloc(*out, capacity);
            if (!grown) return glia_fail_nomem(error);
            *out = grown;
        }
        la_ssize_t n = archive_read_data(a, *out + *used, capacity - *used);
        if (n < 0) return fail_archive(a, error);
        if (n == 0) return GLIA_OK;
        *used += (size_t)n;
        if (*used > limit) {
            return glia_fail(error, GLIA_E_FORMAT, "offset %lld: the file unpacks to more than the limit of %zu bytes",
                             (long long)archive_filter_bytes(a, -1), limit);
        }
    }
}

static glia_status unpack(const uint8_t *bytes, size_t length, uint8_t **out, size_t *out_length, glia_error *error) {
    size_t limit = glia_unpack_limit(length);
    if (glia_gzip_is(bytes, length)) return glia_gunzip(bytes, length, limit, out, out_length, error);
    struct archive *a = archive_read_new();
    if (!a) return glia_fail_nomem(error);
    support_filters(a);
    archive_read_support_format_raw(a);
    struct archive_entry *entry;
    glia_status status = GLIA_OK;
    *out = NULL;
    *out_length = 0;
    if (archive_read_open_memory(a, bytes, length) != ARCHIVE_OK || archive_read_next_header(a, &entry) != ARCHIVE_OK) {
        status = fail_archive(a, error);
    } else if (archive_filter_count(a) < 2) {
        status = glia_fail(error, GLIA_E_FORMAT, "offset 0: the file is not a zip, a tar or a compressed tar");
    } else {
        status = pump(a, limit, out, out_length, error);
    }
    archive_read_free(a);
    if (status) {
        free(*out);
        *out = NULL;
    }
    return status;
}

#else

static glia_status unpack(const uint8_t *bytes, size_t length, uint8_t **out, size_t *out_length, glia_error *error) {
    size_t limit = glia_unpack_limit(length);
    if (glia_gzip_is(bytes, length)) return glia_gunzip(bytes, length, limit, out, out_length, error);
    static const char xz[] = "\xFD"
                             "7zXZ",
                      zst[] = "\x28\xB5\x2F\xFD";
    if (length >= 6 && (!memcmp(bytes, xz, 5) || !memcmp(bytes, zst, 4) || !memcmp(bytes, "BZh", 3))) {
        return glia_fail(
            error, GLIA_E_UNSUPPORTED,
            "offset 0: the file is compressed, but this build of Glia has no libarchive; decompress it first");
    }
    return glia_fail(error, GLIA_E_FORMAT, "offset 0: the file is not a zip, a tar or a compressed tar");
}

#endif

/* ---- folders ------------------------------------------------------------------------------ */

/* 'd' for a folder, 'f' for a regular file, 0 for anything else; follows links. */
static int kind_of(const char *path) {
    struct stat info;
    if (stat(path, &info)) return 0;
    return S_ISDIR(info.st_mode) ? 'd' : S_ISREG(info.st_mode) ? 'f' : 0;
}

/* Adds the files below `path` recursively; `inner` is the prefix of their names. */
static glia_status walk_folder(build *b, const char *path, const char *inner, int depth) {
    if (depth > DEPTH_MOST) {
        return glia_fail(b->error, GLIA_E_FORMAT, "%s: more than %d nested folders", path, DEPTH_MOST);
    }
    DIR *folder = opendir(path);
    if (!folder) {
        return glia_fail(b->error, errno == ENOENT ? GLIA_E_NOT_FOUND : GLIA_E_IO, "%s: %s", path, strerror(errno));
    }
    glia_status status = GLIA_OK;
    for (struct dirent *entry; !status && (entry = readdir(folder));) {
        if (entry->d_name[0] == '.') continue;
        glia_arena scratch = { 0 };
        const char *below = glia_arena_printf(&scratch, "%s/%s", path, entry->d_name);
        const char *name = glia_arena_printf(&b->archive->arena, "%s%s%s", inner, *inner ? "/" : "", entry->d_name);
        int kind = below ? kind_of(below) : 0;
        if (!below || !name) {
            status = glia_fail_nomem(b->error);
        } else if (kind == 'd') {
            status = walk_folder(b, below, name, depth + 1);
        } else if (kind == 'f') {
            status = add_member(b, (glia_member){ .name = name });
        }
        glia_arena_free(&scratch);
    }
    closedir(folder);
    return status;
}

/* ---- all of them -------------------------------------------------------------------------- */

static glia_status parse(build *b) {
    glia_archive *a = b->archive;
    glia_status status;
    if (is_zip(a->bytes, a->length)) {
        status = index_zip(b);
    } else if (is_tar(a->bytes, a->length)) {
        status = index_tar(b);
    } else {
        size_t length;
        status = unpack(a->bytes, a->length, &a->owned, &length, b->error);
        if (status) return status;
        a->bytes = a->owned;
        a->length = length;
        if (!is_tar(a->bytes, length)) {
            return glia_fail(b->error, GLIA_E_FORMAT, "offset 0: the compressed file does not contain a tar");
        }
        glia_file_close(&a->file); /* the whole archive is in memory now */
        status = index_tar(b);
    }
    if (!status) sort_members(a);
    return status;
}

glia_status glia_archive_parse(const uint8_t *bytes, size_t length, glia_archive *archive, glia_error *error) {
    *archive = (glia_archive){ .bytes = bytes, .length = length };
    glia_status status = parse(&(build){ .archive = archive, .error = error });
    if (status) glia_archive_free(archive);
    return status;
}

glia_status glia_archive_open(const char *path, glia_archive *archive, glia_error *error) {
    *archive = (glia_archive){ 0 };
    build b = { .archive = archive, .error = error };
    glia_status status;
    archive->path = glia_arena_strdup(&archive->arena, path);
    if (!archive->path) {
        status = glia_fail_nomem(error);
    } else if (kind_of(path) == 'd') {
        archive->kind = GLIA_ARCHIVE_FOLDER;
        status = walk_folder(&b, path, "", 0);
        if (!status) sort_members(archive);
    } else {
        status = glia_file_open(&archive->file, path, error);
        archive->bytes = archive->file.bytes;
        archive->length = archive->file.length;
        if (!status) status = glia_fail_at_path(error, path, parse(&b));
    }
    if (status) glia_archive_free(archive);
    return status;
}

void glia_archive_free(glia_archive *archive) {
    free(archive->members);
    free(archive->owned);
    glia_file_close(&archive->file);
    glia_arena_free(&archive->arena);
    *archive = (glia_archive){ 0 };
}

glia_status glia_archive_read(const glia_archive *a, int member, glia_blob *blob, glia_error *error) {
    const glia_member *m = &a->members[member];
    *blob = (glia_blob){ 0 };
    if (a->kind == GLIA_ARCHIVE_ZIP) return read_zip(a, m, blob, error);
    if (a->kind == GLIA_ARCHIVE_TAR) {
        *blob = (glia_blob){ .bytes = a->bytes + m->offset, .length = m->length };
        return GLIA_OK;
    }
    char path[2 * NAME_MOST];
    int n = snprintf(path, sizeof path, "%s/%s", a->path, m->name);
    if (n < 0 || (size_t)n >= sizeof path) return glia_fail(error, GLIA_E_IO, "the path is too long");
    glia_status status = glia_file_open(&blob->file, path, error);
    blob->bytes = blob->file.bytes;
    blob->length = blob->file.length;
    return status;
}

glia_status glia_archive_fail(const glia_archive *a, int member, glia_error *error, glia_status status) {
    if (status == GLIA_OK || !error) return status;
    const char *name = a->members[member].name;
    if (a->kind != GLIA_ARCHIVE_FOLDER) {
        status = glia_fail_at_path(error, name, status);
        return a->path ? glia_fail_at_path(error, a->path, status) : status;
    }
    char path[2 * NAME_MOST];
    snprintf(path, sizeof path, "%s/%s", a->path, name);
    bool said = !strncmp(error->message, path, GLIA_MIN(strlen(path), sizeof error->message - 1));
    return said ? status : glia_fail_at_path(error, path, status);
}

void glia_blob_free(glia_blob *blob) {
    free(blob->owned);
    glia_file_close(&blob->file);
    *blob = (glia_blob){ 0 };
}

int glia_archive_find(const glia_archive *a, const char *name) {
    int low = 0, high = a->n;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (strcmp(a->members[middle].name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < a->n && !strcmp(a->members[low].name, name) ? low : -1;
}
