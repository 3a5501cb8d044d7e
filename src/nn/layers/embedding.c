/* embedding.c - token embeddings: rows of a table by id, and logits as products with the table. */
#include "glia/transformers.h"
#include "nn/layers/layers.h"

/* The parameter "NAME/table". */
static glia_tensor table_of(glia_graph *g, const char *name, glia_dtype dtype, int64_t rows, int64_t units,
                            glia_init init) {
    const char *full = glia_arena_printf(&g->arena, "%s/table", name);
    if (!full) return glia_graph_fail_nomem(g);
    if (init.kind == GLIA_INIT_DEFAULT && !glia_graph_has_leaf(g, full))
        init = (glia_init){ .kind = GLIA_INIT_UNIFORM, .low = -0.05, .high = 0.05 };
    return glia_parameter(g, full, dtype, GLIA_SHAPE(rows, units), init);
}

static glia_tensor refuse(glia_tensor x, const char *kind, const char *name, const char *why) {
    char text[GLIA_SHAPE_TEXT];
    return glia_graph_fail(x->graph, GLIA_E_ARGUMENT, "%s: %s of %s%s: %s", name && name[0] ? name : "?", kind,
                           glia_dtype_name(x->dtype), glia_shape_format(x->shape, text), why);
}

/* y, with zeros where the id is the padding id. */
static glia_tensor without_padding(glia_tensor y, glia_tensor ids, int padding) {
    if (glia_is_bad(y)) return y;
    glia_shape column = ids->shape;
    column.dim[column.rank++] = 1;
    glia_tensor kept = glia_not_equal(ids, glia_like(ids, padding));
    return glia_select(glia_reshape(kept, column), y, glia_like(y, 0));
}

glia_tensor glia_embedding(glia_tensor ids, const char *name, glia_embedding_opts o) {
    if (glia_is_bad(ids)) return glia_layer_bad(ids);
    glia_graph *g = ids->graph;
    if (!name || !name[0]) return refuse(ids, "embedding", name, "a name is needed");
    if (ids->dtype != GLIA_I32 && ids->dtype != GLIA_I64) return refuse(ids, "embedding", name, "ids are i32 or i64");
    if (ids->shape.rank >= GLIA_MAX_RANK) return refuse(ids, "embedding", name, "too many axes");
    if (o.vocabulary < 1 || o.units < 1) return refuse(ids, "embedding", name, "vocabulary and units are at least 1");
    if (o.dtype != GLIA_F32 && o.dtype != GLIA_F64) return refuse(ids, "embedding", name, "a table is f32 or f64");
    const char *label = glia_graph_label(g, name);
    glia_tensor y = glia_gather(table_of(g, name, o.dtype, o.vocabulary, o.units, o.init), ids, 0);
    if (o.pads) y = without_padding(y, ids, o.padding);
    g->label = label;
    return y;
}

glia_tensor glia_embedding_logits(glia_tensor x, const char *name, int vocabulary) {
    glia_layer layer;
    if (!glia_layer_begin(&layer, "embedding logits", name, x)) return glia_layer_bad(x);
    int last = x->shape.rank - 1;
    if (last < 1 || x->shape.dim[last] < 1) return glia_layer_fail(&layer, "x must be (N, ..., D) with a fixed D");
    if (vocabulary < 1) return glia_layer_fail(&layer, "the vocabulary must be at least 1, not %d", vocabulary);
    const int64_t units = x->shape.dim[last];
    glia_tensor table = table_of(layer.graph, name, x->dtype, vocabulary, units, (glia_init){ 0 });
    return glia_layer_end(&layer, glia_matmul_transposed(x, false, table, true));
}
