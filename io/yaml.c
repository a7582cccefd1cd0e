#include "io/yaml.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "core/fs.h"
#include "core/mem.h"

typedef struct {
    yaml_parser_t parser;
    const char *text;
    size_t len;
    const char *file;
    size_t n_nodes;
    cv_err *err;
} reader;

static int refuse(const reader *r, int line, const char *what)
{
    return cv_err_set(r->err, CV_ERR_INPUT, r->file, line, "%s", what);
}

/* What libyaml says, and what it means to somebody who wrote the file. */
static const struct {
    const char *said;
    const char *plain;
} problems[] = {
    {"found character that cannot start any token",
     "a value cannot begin with this character; put the text in quotes"},
    {"mapping values are not allowed in this context",
     "found a ':' where none can be; check the indentation, or put text with "
     "a ':' in quotes"},
    {"did not find expected key",
     "expected 'key: value'; check the indentation and the quotes"},
    {"could not find expected ':'",
     "expected ':' after the key; check the spelling and the indentation"},
    {"did not find expected '-' indicator",
     "expected a list item that begins with '-' like those before it; check "
     "the indentation"},
    {"did not find expected ',' or ']'",
     "a list in [ ] lacks a ',' or its ']'"},
    {"did not find expected ',' or '}'", "a map in { } lacks a ',' or its '}'"},
    {"found unexpected end of stream", "a text in quotes is not closed"},
    {"found unexpected document indicator",
     "a text in quotes is not closed before the line of '---' or '...'"},
    {"did not find expected node content",
     "expected a value, found something else"},
    {"did not find expected alphabetic or numeric character",
     "a value cannot begin with '*' or '&'; put the text in quotes"},
    {"found unknown escape character",
     "unknown \\ escape in \"text\"; write \\\\ for one backslash, or use "
     "'text'"},
    {"block sequence entries are not allowed in this context",
     "a list item '-' cannot be here; begin it on a line of its own"},
    {"found a tab character where an indentation space is expected",
     "a tab is used for indentation; use spaces"},
    {"found a tab character that violates indentation",
     "a tab is used for indentation; use spaces"},
    {"did not find expected <document start>",
     "expected the end of the file or 'key: value'; check the indentation"},
};

static int line_of_offset(const reader *r, size_t offset)
{
    int line = 1;
    for (size_t i = 0; i < offset && i < r->len; i++)
        line += r->text[i] == '\n';
    return line;
}

static const char *plain_words(const reader *r)
{
    const yaml_parser_t *p = &r->parser;
    if (!p->problem)
        return "the parser gave no reason";
    size_t at = p->problem_mark.index;
    /* libyaml has one message for every character that cannot begin a value,
     * and a tab is by far the most frequent. mark.index counts characters, so
     * the tab is looked for in the line, not at the index. */
    if (strstr(p->problem, "cannot start any token")) {
        int line = 0;
        for (size_t i = 0, start = 0; i <= r->len; i++) {
            if (i < r->len && r->text[i] != '\n')
                continue;
            if ((size_t)line++ == p->problem_mark.line) {
                at = start + strspn(r->text + start, " ");
                if (r->text[at] == '\t')
                    return "a tab is used for indentation; use spaces";
                break;
            }
            start = i + 1;
        }
    }
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++)
        if (strcmp(p->problem, problems[i].said) == 0)
            return problems[i].plain;
    return p->problem;
}

static int syntax_error(const reader *r)
{
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR)
        return cv_err_set(r->err, CV_ERR_ENV, r->file, 0,
                          "out of memory while reading YAML");
    if (p->error == YAML_READER_ERROR)
        return cv_err_set(
            r->err, CV_ERR_INPUT, r->file, line_of_offset(r, p->problem_offset),
            "expected plain text in UTF-8, found a byte that is not (%s); save "
            "the file as UTF-8",
            p->problem ? p->problem : "no reason given");
    int line = (int)p->problem_mark.line + 1;
    int began = (int)p->context_mark.line + 1;
    if (p->context && began < line)
        return cv_err_set(r->err, CV_ERR_INPUT, r->file, line,
                          "not valid YAML: %s (it began on line %d)",
                          plain_words(r), began);
    return cv_err_set(r->err, CV_ERR_INPUT, r->file, line, "not valid YAML: %s",
                      plain_words(r));
}

/* The next event that is part of the document. */
static int next(reader *r, yaml_event_t *event)
{
    if (!yaml_parser_parse(&r->parser, event))
        return syntax_error(r);
    return 0;
}

static int event_line(const yaml_event_t *event)
{
    return (int)event->start_mark.line + 1;
}

/* Refuse what this file does not read; must hold before a node is made. */
static int check_event(reader *r, const yaml_event_t *e, int depth)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;
    int nests = 0;
    if (e->type == YAML_SCALAR_EVENT) {
        anchor = e->data.scalar.anchor;
        tag = e->data.scalar.tag;
    } else if (e->type == YAML_SEQUENCE_START_EVENT) {
        anchor = e->data.sequence_start.anchor;
        tag = e->data.sequence_start.tag;
        nests = 1;
    } else if (e->type == YAML_MAPPING_START_EVENT) {
        anchor = e->data.mapping_start.anchor;
        tag = e->data.mapping_start.tag;
        nests = 1;
    }
    if (anchor || e->type == YAML_ALIAS_EVENT)
        return refuse(
            r, event_line(e),
            "anchors (&) and aliases (*) are not read here; write the "
            "value out, or put text in quotes");
    if (tag)
        return refuse(r, event_line(e),
                      "tags (!) are not read here; leave the tag out, or put "
                      "text in quotes");
    if (nests && depth >= CV_YAML_MAX_DEPTH)
        return cv_err_set(r->err, CV_ERR_INPUT, r->file, event_line(e),
                          "expected at most %d levels of nesting, found more",
                          CV_YAML_MAX_DEPTH);
    if (e->type != YAML_SEQUENCE_END_EVENT && e->type != YAML_MAPPING_END_EVENT)
        r->n_nodes++;
    if (r->n_nodes > CV_YAML_MAX_NODES)
        return cv_err_set(r->err, CV_ERR_INPUT, r->file, event_line(e),
                          "expected at most %d values and keys, found more",
                          CV_YAML_MAX_NODES);
    return 0;
}

static int copy_scalar(reader *r, const yaml_event_t *e, char **text)
{
    size_t n = e->data.scalar.length;
    if (memchr(e->data.scalar.value, 0, n))
        return refuse(r, event_line(e), "a text holds a NUL byte (\\0)");
    *text = cv_strdup((const char *)e->data.scalar.value);
    return 0;
}

/* A zeroed node at the end of parent's items. */
static cv_yaml *add_item(cv_yaml *parent)
{
    /* Powers of two are the sizes at which the array is full. */
    if ((parent->n & (parent->n - 1)) == 0)
        parent->item = cv_realloc(parent->item, parent->n ? parent->n * 2 : 1,
                                  sizeof *parent->item);
    cv_yaml *node = &parent->item[parent->n++];
    memset(node, 0, sizeof *node);
    return node;
}

static int read_node(reader *r, cv_yaml *node, const yaml_event_t *e,
                     int depth);

static int read_list(reader *r, cv_yaml *list, int depth)
{
    for (;;) {
        yaml_event_t e;
        int rc = next(r, &e);
        if (rc)
            return rc;
        if (e.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&e);
            return 0;
        }
        rc = read_node(r, add_item(list), &e, depth + 1);
        yaml_event_delete(&e);
        if (rc)
            return rc;
    }
}

static int read_key(reader *r, cv_yaml *member, const yaml_event_t *e,
                    int depth)
{
    int rc = check_event(r, e, depth);
    if (rc)
        return rc;
    if (e->type != YAML_SCALAR_EVENT)
        return refuse(r, event_line(e),
                      "expected a word as key, found a list or map");
    member->key_line = event_line(e);
    return copy_scalar(r, e, &member->key);
}

static int check_keys(const reader *r, const cv_yaml *map)
{
    if (map->n < 2)
        return 0;
    const char **keys = cv_realloc(NULL, map->n, sizeof *keys);
    for (size_t i = 0; i < map->n; i++)
        keys[i] = map->item[i].key;
    size_t a, b;
    int rc = 0;
    if (cv_yaml_repeat(keys, map->n, &a, &b)) {
        char key[80];
        cv_yaml_excerpt(key, keys[b]);
        rc = cv_err_set(r->err, CV_ERR_INPUT, r->file, map->item[b].key_line,
                        "key '%s' is given twice, first on line %d; keep one "
                        "of the two",
                        key, map->item[a].key_line);
    }
    free(keys);
    return rc;
}

static int read_map(reader *r, cv_yaml *map, int depth)
{
    for (;;) {
        yaml_event_t e;
        int rc = next(r, &e);
        if (rc)
            return rc;
        if (e.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&e);
            return check_keys(r, map);
        }
        cv_yaml *member = add_item(map);
        rc = read_key(r, member, &e, depth);
        yaml_event_delete(&e);
        if (!rc)
            rc = next(r, &e);
        if (rc)
            return rc;
        rc = read_node(r, member, &e, depth + 1);
        yaml_event_delete(&e);
        if (rc)
            return rc;
    }
}

static int read_node(reader *r, cv_yaml *node, const yaml_event_t *e, int depth)
{
    int rc = check_event(r, e, depth);
    if (rc)
        return rc;
    node->line = event_line(e);
    switch (e->type) {
    case YAML_SCALAR_EVENT:
        node->kind = CV_YAML_SCALAR;
        node->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
        return copy_scalar(r, e, &node->text);
    case YAML_SEQUENCE_START_EVENT:
        node->kind = CV_YAML_LIST;
        return read_list(r, node, depth);
    case YAML_MAPPING_START_EVENT:
        node->kind = CV_YAML_MAP;
        return read_map(r, node, depth);
    default:
        return refuse(r, event_line(e), "expected a value");
    }
}

/* One event that must be of this type. */
static int expect(reader *r, yaml_event_type_t type, const char *otherwise)
{
    yaml_event_t e;
    int rc = next(r, &e);
    if (rc)
        return rc;
    if (e.type != type)
        rc = refuse(r, event_line(&e), otherwise);
    yaml_event_delete(&e);
    return rc;
}

static int read_document(reader *r, cv_yaml *root)
{
    yaml_event_t e;
    int rc = expect(r, YAML_STREAM_START_EVENT, "expected YAML");
    if (!rc)
        rc = expect(r, YAML_DOCUMENT_START_EVENT,
                    "expected 'key: value' lines, found an empty file");
    if (!rc)
        rc = next(r, &e);
    if (rc)
        return rc;
    rc = read_node(r, root, &e, 0);
    yaml_event_delete(&e);
    if (!rc)
        rc = expect(r, YAML_DOCUMENT_END_EVENT, "expected the end of the file");
    if (!rc)
        rc = expect(r, YAML_STREAM_END_EVENT,
                    "expected one document, found a second one after '---'");
    return rc;
}

/* What libyaml would take for something else, or explain badly. */
static int check_bytes(const reader *r)
{
    if (r->len > CV_YAML_MAX_BYTES)
        return cv_err_set(r->err, CV_ERR_INPUT, r->file, 0,
                          "expected at most %d bytes, found %zu",
                          CV_YAML_MAX_BYTES, r->len);
    const unsigned char *t = (const unsigned char *)r->text;
    if (r->len >= 2 &&
        ((t[0] == 0xff && t[1] == 0xfe) || (t[0] == 0xfe && t[1] == 0xff)))
        return refuse(r, 1,
                      "expected UTF-8, found UTF-16; save the file as UTF-8");
    const char *nul = memchr(r->text, 0, r->len);
    if (nul)
        return refuse(r, line_of_offset(r, (size_t)(nul - r->text)),
                      "expected plain text, found a NUL byte; save the file as "
                      "UTF-8 text");
    return 0;
}

int cv_yaml_parse(const char *text, size_t len, const char *file,
                  cv_yaml **root, cv_err *err)
{
    reader r = {.text = text, .len = len, .file = file, .err = err};
    *root = NULL;
    int rc = check_bytes(&r);
    if (rc)
        return rc;
    CV_CHECK(yaml_parser_initialize(&r.parser) == 1);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
    cv_yaml *tree = CV_NEW(1, cv_yaml);
    rc = read_document(&r, tree);
    yaml_parser_delete(&r.parser);
    if (rc)
        cv_yaml_destroy(&tree);
    *root = tree;
    return rc;
}

int cv_yaml_load(const char *path, cv_yaml **root, cv_err *err)
{
    char *text = NULL;
    size_t len;
    *root = NULL;
    int rc = cv_fs_read(path, CV_YAML_MAX_BYTES, &text, &len, err);
    if (!rc)
        rc = cv_yaml_parse(text, len, path, root, err);
    free(text);
    return rc;
}

static void release(cv_yaml *node)
{
    for (size_t i = 0; i < node->n; i++)
        release(&node->item[i]);
    free(node->item);
    free(node->text);
    free(node->key);
}

void cv_yaml_destroy(cv_yaml **root)
{
    if (!*root)
        return;
    release(*root);
    CV_FREE(*root);
}

const cv_yaml *cv_yaml_get(const cv_yaml *node, const char *key)
{
    if (!node || node->kind != CV_YAML_MAP)
        return NULL;
    for (size_t i = 0; i < node->n; i++)
        if (strcmp(node->item[i].key, key) == 0)
            return &node->item[i];
    return NULL;
}
