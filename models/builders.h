/* builders.h - the builder functions named in models.def; each is defined in one of the .c files here. */
#ifndef GLIA_BUILDERS_H
#define GLIA_BUILDERS_H

#include "models.h"

#define MODEL(name, builder, ...) glia_tensor glia_build_##builder(glia_tensor x, int outputs);
#define TOKENS(name, builder, ...) glia_tensor glia_build_##builder(glia_tensor ids, int vocabulary, int outputs);
#define NETWORKS(name, builder, ...) void glia_build_##builder(glia_model *model, glia_shape sample);
#define CONDITIONAL(name, builder, ...) void glia_build_##builder(glia_model *model, glia_shape sample, int classes);
#define GRAPHS(name, builder, ...) void glia_build_##builder(glia_model *model, glia_graph_sizes sizes);
#include "models.def"
#undef MODEL
#undef TOKENS
#undef NETWORKS
#undef CONDITIONAL
#undef GRAPHS

#endif
