/* fetch.c - `glia data fetch`: downloads the files of a dataset and verifies them.
 *
 * A file is downloaded to FILE.part. When it is complete, its SHA-256 is compared and it is renamed to FILE, so FILE is
 * never incomplete. An interrupted download is resumed by a range request (RFC 9110); it starts over if the server does
 * not support ranges. The sources are tried in order.
 */
#include "commands/fetch.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands/sha256.h"
#include "terminal/progress.h"

enum { SOURCES_MOST = 3 };

typedef struct item {
    const char *name, *file;
    int64_t bytes;
    const char *sha256;
    const char *sources[SOURCES_MOST]; /* up to the first NULL */
} item;

static const item items[] = {
#define FETCH(name, file, bytes, sha256, ...) { name, file, bytes, sha256, { __VA_ARGS__ } },
#include "commands/fetch.def"
#undef FETCH
};

enum { ITEMS = sizeof items / sizeof items[0] };

void fetch_names(text *out) {
    for (int i = 0; i < ITEMS; i++) {
        if (i && strcmp(items[i].name, items[i - 1].name) == 0) continue;
        text_add(out, "%s%s", i ? ", " : "", items[i].name);
    }
}

static bool is_address(const char *what) {
    return strncasecmp(what, "http://", 7) == 0 || strncasecmp(what, "https://", 8) == 0;
}

#if GLIA_HAVE_CURL

#include <curl/curl.h>

/* ---- one file ----------------------------------------------------------------------------- */

typedef struct job {
    const char *label; /* of the progress bar */
    char *target, *part;
    int64_t expected;   /* bytes; 0: unknown */
    const char *sha256; /* NULL: unknown */
    CURL *curl;
    int fd;
    int64_t at, resumed; /* bytes in the part file; of these, from an earlier download */
    bool began;          /* the server's status code was checked */
    double start, drawn;
    int trouble; /* errno of a write */
    char why[CURL_ERROR_SIZE];
} job;

/* Writes received bytes. On the first call checks whether the server sends the rest or the whole file. */
static size_t take(char *bytes, size_t size, size_t count, void *context) {
    job *j = context;
    long code = 0;
    size_t length = size * count;
    if (!j->began) {
        j->began = true;
        curl_easy_getinfo(j->curl, CURLINFO_RESPONSE_CODE, &code);
        if (j->at > 0 && code == 200) {
            j->at = j->resumed = 0;
            if (ftruncate(j->fd, 0) || lseek(j->fd, 0, SEEK_SET) < 0) return j->trouble = errno, 0;
        }
    }
    for (size_t done = 0; done < length;) {
        ssize_t n = write(j->fd, bytes + done, length - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return j->trouble = errno, 0;
        done += (size_t)n;
    }
    j->at += (int64_t)length;
    return length;
}

static void draw(job *j, int64_t total, bool last) {
    double now = seconds_now();
    if (!last && now - j->drawn < 0.1) return;
    j->drawn = now;
    char have[SHORT], all[SHORT], rate[SHORT], left[SHORT];
    double seconds = now - j->start, speed = seconds > 0 ? (double)(j->at - j->resumed) / seconds : 0;
    text tail = { 0 };
    text_add(&tail, " %s", byte_size((size_t)j->at, have));
    if (total > 0) text_add(&tail, " of %s", byte_size((size_t)total, all));
    text_add(&tail, "  %s/s", byte_size((size_t)speed, rate));
    if (total > j->at && speed > 0) text_add(&tail, "  %s left", duration((double)(total - j->at) / speed, left));
    int bar = terminal_columns() - (int)strlen(j->label) - 48; /* 48: the text after the bar */
    if (bar > 30) bar = 30;
    printf("\r\x1b[K%s ", j->label);
    for (int i = 0; i < bar && total > 0; i++) {
        bool full = (double)i + 0.5 < (double)bar * (double)j->at / (double)total;
        fputs(terminal_utf8() ? (full ? "\u2588" : "\u2591") : full ? "#" : ".", stdout);
    }
    fputs(tail.bytes, stdout);
    fflush(stdout);
    free(tail.bytes);
}

static int watch(void *context, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up) {
    job *j = context;
    (void)now, (void)up_total, (void)up;
    int64_t whole = j->expected ? j->expected : total > 0 ? total + j->resumed : 0;
    if (terminal_live() && j->at > 0) draw(j, whole, false);
    return interrupted();
}

/* The SHA-256 of a file; false: not readable, see errno. */
static bool checksum(const char *path, char hex[65]) {
    unsigned char block[65536];
    sha256_state s;
    FILE *file = fopen(path, "rb");
    if (!file) return false;
    sha256_begin(&s);
    for (size_t n; (n = fread(block, 1, sizeof block, file)) > 0;) sha256_add(&s, block, n);
    bool whole = !ferror(file);
    fclose(file);
    sha256_end(&s, hex);
    return whole;
}

static void set_options(job *j, const char *address) {
    CURL *c = j->curl;
    char range[32];
    curl_easy_reset(c);
    curl_easy_setopt(c, CURLOPT_URL, address);
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(c, CURLOPT_MAXREDIRS, 5L);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(c, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    curl_easy_setopt(c, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, 20L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, 60L);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "glia");
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, j->why);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, j);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, watch);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, j);
    if (j->expected) curl_easy_setopt(c, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)(2 * j->expected + 1));
    if (j->at > 0) {
        snprintf(range, sizeof range, "%lld-", (long long)j->at);
        curl_easy_setopt(c, CURLOPT_RANGE, range);
    }
}

/* Downloads the rest of the part file from one source. CURLE_OK: complete according to the server. */
static CURLcode fetch_rest(job *j, const char *address) {
    j->fd = open(j->part, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (j->fd < 0) return j->trouble = errno, CURLE_WRITE_ERROR;
    off_t there = lseek(j->fd, 0, SEEK_END);
    j->at = j->resumed = there > 0 ? there : 0;
    j->began = false;
    j->why[0] = 0;
    j->start = seconds_now();
    set_options(j, address);
    CURLcode code = curl_easy_perform(j->curl);
    long answer = 0;
    curl_easy_getinfo(j->curl, CURLINFO_RESPONSE_CODE, &answer);
    if (answer == 416 && j->resumed > 0) code = CURLE_OK; /* nothing left to send; the checksum decides */
    if (code == CURLE_OK && fsync(j->fd) && errno != EINVAL) code = CURLE_WRITE_ERROR, j->trouble = errno;
    close(j->fd);
    if (code != CURLE_OK && j->at == 0) unlink(j->part);
    if (terminal_live()) printf("\r\x1b[K");
    return code;
}

static void explain(const job *j, CURLcode code, const char *address, text *out) {
    const char *host = strstr(address, "://");
    host = host ? host + 3 : address;
    int length = (int)strcspn(host, "/");
    if (j->trouble)
        text_add(out, "%s: %s", j->part, strerror(j->trouble));
    else if (code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY)
        text_add(out, "cannot resolve %.*s: is there a network?", length, host);
    else if (code == CURLE_COULDNT_CONNECT || code == CURLE_OPERATION_TIMEDOUT)
        text_add(out, "%.*s does not answer: is there a network?", length, host);
    else
        text_add(out, "%s: %s", address, j->why[0] ? j->why : curl_easy_strerror(code));
}

/* Verifies the checksum of the part file and renames it. -1: checksum mismatch; the part file is removed. */
static int install(job *j, text *why) {
    char hex[65], size[SHORT];
    if (!checksum(j->part, hex)) return fail("%s: %s", j->part, strerror(errno));
    if (j->sha256 && strcasecmp(hex, j->sha256) != 0) {
        text_add(why, "wrong checksum: SHA-256 is %s, expected %s", hex, j->sha256);
        unlink(j->part);
        return -1;
    }
    if (rename(j->part, j->target)) return fail("%s: %s", j->target, strerror(errno));
    printf("%s  %s  ", j->target, byte_size((size_t)j->at, size));
    printf(j->sha256 ? "checksum correct\n" : "sha256 %s (no checksum to compare with)\n", hex);
    return EXIT_OK;
}

/* One file from the first source that has it. */
static int fetch_file(job *j, char *const *addresses, int n) {
    char hex[65];
    text why = { 0 };
    int status = -1;
    if (access(j->target, F_OK) == 0) {
        bool right = checksum(j->target, hex) && (!j->sha256 || strcasecmp(hex, j->sha256) == 0);
        if (right) return printf("%s  already downloaded\n", j->target), EXIT_OK;
        return fail("%s exists with SHA-256 %s instead of %s; move it away to download it",
                    j->target, hex, j->sha256);
    }
    for (int i = 0; i < n && status < 0 && !interrupted(); i++) {
        if (why.length) text_add(&why, "; ");
        struct stat part;
        bool resumed = stat(j->part, &part) == 0 && part.st_size > 0;
        CURLcode code = fetch_rest(j, addresses[i]);
        if (code != CURLE_OK)
            explain(j, code, addresses[i], &why);
        else
            status = install(j, &why);
        if (code == CURLE_OK && status < 0 && resumed) i--; /* retry from the start */
        if (j->trouble) break;
    }
    if (interrupted()) status = fail("interrupted; the next fetch continues %s", j->part);
    if (status < 0) status = fail("%s: %s", j->label, why.bytes ? why.bytes : "no source");
    free(why.bytes);
    return status;
}

/* ---- folders ------------------------------------------------------------------------------ */

static bool make_folders(const char *path) {
    char *copy = duplicate(path);
    bool made = true;
    for (char *p = copy + 1; made; p++) {
        if (*p && *p != '/') continue;
        char end = *p;
        *p = 0;
        made = mkdir(copy, 0777) == 0 || errno == EEXIST;
        *p = end;
        if (!end) break;
    }
    free(copy);
    return made;
}

/* The last folder searched for named datasets. */
static char *cache_folder(void) {
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    text path = { 0 };
    if (cache && *cache)
        text_add(&path, "%s/glia", cache);
    else if (home && *home)
        text_add(&path, "%s/.cache/glia", home);
    else
        text_add(&path, "data");
    return path.bytes;
}

static char *joined(const char *folder, const char *name) {
    text path = { 0 };
    text_add(&path, "%s%s%s", folder, *folder && folder[strlen(folder) - 1] == '/' ? "" : "/", name);
    return path.bytes;
}

static int run_job(const char *folder, const char *file, const item *what, char *const *addresses, int n) {
    job j = { .label = file, .expected = what->bytes, .sha256 = what->sha256, .curl = curl_easy_init() };
    if (!j.curl) return fail("libcurl cannot be initialised");
    text part = { 0 };
    j.target = joined(folder, file);
    text_add(&part, "%s.part", j.target);
    j.part = part.bytes;
    int status = make_folders(folder) ? fetch_file(&j, addresses, n) : fail("%s: %s", folder, strerror(errno));
    curl_easy_cleanup(j.curl);
    free(j.target);
    free(j.part);
    return status;
}

/* ---- the command -------------------------------------------------------------------------- */

static int fetch_address(const char *address, const char *folder, const char *sha256) {
    const char *file = strrchr(address, '/') + 1;
    char *name = duplicate(file);
    name[strcspn(name, "?#")] = 0;
    int status;
    if (!*name || strchr(address, '/') == strrchr(address, '/') - 1) {
        status = misuse("fetch: the URL %s has no file name", address);
    } else {
        char *addresses[] = { duplicate(address) };
        status = run_job(folder, name, &(item){ .sha256 = sha256 }, addresses, 1);
        free(addresses[0]);
    }
    free(name);
    return status;
}

static int fetch_item(const item *what, const char *folder, const char *mirror) {
    char *addresses[SOURCES_MOST], *inner = joined(folder, what->name);
    int n = 0;
    if (mirror) {
        char *base = joined(mirror, what->name);
        addresses[n++] = joined(base, what->file);
        free(base);
    }
    while (!mirror && n < SOURCES_MOST && what->sources[n]) {
        addresses[n] = joined(what->sources[n], what->file);
        n++;
    }
    int status = run_job(inner, what->file, what, addresses, n);
    for (int i = 0; i < n; i++) free(addresses[i]);
    free(inner);
    return status;
}

int fetch(const char *what, fetch_opts opts) {
    interrupt_catch();
    curl_global_init(CURL_GLOBAL_DEFAULT);
    char *folder = opts.to ? duplicate(opts.to) : cache_folder();
    int status = -1;
    if (is_address(what)) {
        status = fetch_address(what, folder, opts.sha256);
    } else {
        for (int i = 0; i < ITEMS && status <= EXIT_OK; i++) {
            if (strcmp(items[i].name, what) == 0) status = fetch_item(&items[i], folder, opts.mirror);
        }
    }
    if (status < 0) {
        const char *names[ITEMS];
        for (int i = 0; i < ITEMS; i++) names[i] = items[i].name;
        const char *near = glia_name_nearest(what, names, ITEMS);
        text list = { 0 };
        fetch_names(&list);
        status = near ? misuse("unknown dataset \"%s\"; did you mean %s?", what, near)
                      : misuse("unknown dataset \"%s\"; known are %s, and http(s) URLs", what, list.bytes);
        free(list.bytes);
    }
    free(folder);
    curl_global_cleanup();
    return status;
}

#else

int fetch(const char *what, fetch_opts opts) {
    (void)opts;
    for (int i = 0; i < ITEMS; i++) {
        if (strcmp(items[i].name, what) == 0) {
            return fail("this build has no libcurl; download %s%s yourself", items[i].sources[0], items[i].file);
        }
    }
    return fail(is_address(what) ? "this build of Glia has no libcurl" : "unknown dataset \"%s\"", what);
}

#endif
