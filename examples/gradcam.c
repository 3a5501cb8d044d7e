/* gradcam.c - Grad-CAM, Selvaraju et al. 2017: where in a picture a convolution net sees its class: a layer's maps,
 * each weighted by how much it raises the score. Writes the picture and, beside it, the heat map to gradcam.png.
 *     gradcam [MODEL [LAYER [PICTURE]]]      digits.safetensors, as forty_lines makes it; conv2; a drawn digit */
#include <glia/glia.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    if (argc > 1 && argv[1][0] == '-') argc = 1; /* --quick */
    glia_error e = { 0 };
    glia_model *model = glia_model_load(argc > 1 ? argv[1] : "digits.safetensors", &e);
    if (!model) return fprintf(stderr, "gradcam: %s; forty_lines makes digits.safetensors\n", e.message), 1;
    if (glia_model_get(model, "mean")) return fputs("gradcam: train the model with --no-normalize\n", stderr), 1;
    glia_graph *g = glia_model_graph(model);
    const char *name = NULL;
    glia_tensor x = glia_model_input_at(model, 0, &name), y = glia_model_output_at(model, 0, NULL), dA, hot[3];
    const glia_shape s = glia_tensor_shape(x);
    const int c = (int)s.dim[1], h = (int)s.dim[2], w = (int)s.dim[3];
    glia_tensor A = glia_layer_output(g, argc > 2 ? argv[2] : "conv2");              /* maps (N, K, ...) */
    glia_grad(glia_max(y, GLIA_SHAPE(1), false), &A, 1, &dA);                        /* of the best class's score */
    glia_tensor alpha = glia_mean(dA, GLIA_SHAPE(2, 3), true);                       /* equation 1 */
    glia_tensor heat = glia_relu(glia_sum(glia_mul(alpha, A), GLIA_SHAPE(1), true)); /* equation 2 */
    heat = glia_div(glia_resize_bilinear(heat, h, w), glia_add_scalar(glia_max(heat, GLIA_SCALAR, false), 1e-9));
    for (int i = 0; i < 3; i++) hot[i] = glia_clip(glia_add_scalar(glia_mul_scalar(heat, 3), -i), 0, 1);
    glia_tensor both[] = { glia_broadcast(x, GLIA_SHAPE(GLIA_BATCH, 3, h, w)), glia_concat(hot, 3, 1) };
    glia_tensor outputs[] = { glia_concat(both, 2, 3), glia_argmax(y, 1) };
    float *pixels = calloc((size_t)(c * h * w), sizeof *pixels);
    glia_dataset *digits = glia_data_strokes(1, 3, &e);
    argc > 3 ? glia_image_load(argv[3], GLIA_SHAPE(c, h, w), pixels, &e) : glia_data_get(digits, 0, pixels, NULL, &e);
    glia_array in = { .name = name, .shape = GLIA_SHAPE(1, c, h, w), .data = pixels }, out[2];
    glia_backend *cpu = glia_backend_open("cpu", 0, &e);
    glia_function_opts opts = { .outputs = outputs, .n_outputs = 2 };
    glia_function *f = glia_function_create(g, cpu, glia_model_store(model), opts, &e);
    if (e.status || glia_function_call(f, &in, 1, out, &e) ||
        glia_image_save("gradcam.png", GLIA_SHAPE(3, h, 2 * w), out[0].data, 1, (glia_image_save_opts){ .scale = 4 },
                        &e))
        return fprintf(stderr, "gradcam: %s\n", e.message), 1;
    printf("class %d; the picture and its heat map are in gradcam.png\n", *(int32_t *)out[1].data);
    glia_function_free(f), glia_backend_close(cpu), glia_model_free(model), glia_data_free(digits), free(pixels);
}
