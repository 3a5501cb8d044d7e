/* gcn.c - graph convolutional network, Kipf and Welling 2017: Z = A relu(A X W0) W1, the fields of Cora's papers
 * from their words X and links A, learned from 140 of 2,708.   GLIA_DATA=FOLDER gcn [--quick]: 10 seeds, or one */
#include <glia/glia.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { PAPERS = 2708, WORDS = 1433, FIELDS = 7, MOST = 50000, EPOCHS = 200 };
static int32_t paper[MOST], word[MOST], from[MOST], to[MOST], n_words, n_links = PAPERS, field[PAPERS], y;
static double labels[3][PAPERS]; /* of the papers to test with, to learn from, to validate with; -1: not one of them */
static float x[WORDS];

int main(int argc, char **argv) {
    glia_error error = { 0 };
    if (getenv("GLIA_DATA") && chdir(getenv("GLIA_DATA"))) perror("GLIA_DATA");
    glia_dataset *papers = glia_data_open("libsvm:cora/features.svm.gz", NULL, NULL, &error);
    glia_dataset *links = glia_data_open("csv:cora/edges.csv.gz?header=0", NULL, NULL, &error);
    glia_dataset *parts = glia_data_open("csv:cora/split.csv", NULL, NULL, &error); /* test, train, val: 0, 1, 2 */
    if (error.status) return fprintf(stderr, "gcn: needs Cora in $GLIA_DATA: %s\n", error.message), 1;
    for (int i = 0; i < PAPERS; i++)
        from[i] = to[i] = i, labels[0][i] = labels[1][i] = -1; /* each is linked to itself */
    for (int i = 0; !glia_data_get(links, i, x, &y, NULL); i++, n_links += 2)
        from[n_links] = to[n_links + 1] = (int32_t)x[0], to[n_links] = from[n_links + 1] = y;
    for (int i = 0; !glia_data_get(papers, i, x, &field[i], NULL); i++)
        for (int j = 0; j < WORDS; j++) paper[n_words] = i, word[n_words] = j, n_words += x[j] > 0;
    for (int i = 0; !glia_data_get(parts, i, x, &y, NULL); i++) labels[y][(int)x[0]] = field[(int)x[0]];

    glia_graph *g = glia_graph_create();
    glia_csr X = glia_csr_constant(g, GLIA_F32, PAPERS, n_words, paper, word, NULL);
    glia_csr A = glia_csr_constant(g, GLIA_F32, PAPERS, n_links, from, to, NULL);
    glia_tensor words = glia_reshape(glia_segment_sum(X.values, X.offsets), GLIA_SHAPE(PAPERS, 1));
    glia_tensor s = glia_rsqrt(glia_reshape(glia_segment_sum(A.values, A.offsets), GLIA_SHAPE(PAPERS, 1)));
    A.values = glia_csr_dot(s, s, A.columns, A.offsets); /* D^-1/2 (A + I) D^-1/2 */
    glia_tensor W0 = glia_parameter(g, "W0", GLIA_F32, GLIA_SHAPE(WORDS, 16), (glia_init){ 0 });
    glia_tensor h = glia_div(glia_csr_matmul(glia_dropout(X.values, 0.5), X.columns, X.offsets, W0), words);
    h = glia_dropout(glia_relu(glia_csr_matmul(A.values, A.columns, A.offsets, h)), 0.5);
    h = glia_dense(h, "W1", (glia_dense_opts){ .units = FIELDS, .no_bias = true });
    glia_tensor Z = glia_csr_matmul(A.values, A.columns, A.offsets, h);
    glia_tensor loss = glia_cross_entropy_tokens(Z, glia_constant(g, GLIA_I32, GLIA_SHAPE(PAPERS), labels[1]), 0);
    glia_tensor right = glia_accuracy_tokens(Z, glia_constant(g, GLIA_I32, GLIA_SHAPE(PAPERS), labels[0]));
    glia_parameter_group decay = { .pattern = "W0", .l2 = 5e-4 };
    glia_minimize(loss, (glia_optimizer){ .kind = GLIA_ADAM, .lr = 0.01, .groups = &decay, .n_groups = 1 }, NULL, NULL);
    glia_backend *cpu = glia_backend_open("cpu", 1, &error);
    glia_function_opts training = { .mode = GLIA_TRAIN }, testing = { .outputs = &right, .n_outputs = 1 };
    double mean = 0, seeds = argc > 1 && argv[1] ? 1 : 10, begin = (double)clock();
    for (int seed = 0; seed < seeds; seed++) {
        glia_array accuracy;
        glia_store *weights = glia_store_create(g, (uint64_t)seed, &error);
        glia_function *train = glia_function_create(g, cpu, weights, training, &error);
        glia_function *test = glia_function_create(g, cpu, weights, testing, &error);
        for (int epoch = 0; epoch < EPOCHS && !error.status; epoch++) glia_function_call(train, NULL, 0, NULL, &error);
        if (error.status || glia_function_call(test, NULL, 0, &accuracy, &error)) return puts(error.message), 1;
        printf("seed %d: %.1f %% of the test papers right\n", seed, 100 * (double)*(float *)accuracy.data);
        mean += 100 * (double)*(float *)accuracy.data / seeds;
        glia_function_free(test), glia_function_free(train), glia_store_free(weights);
    }
    printf("mean %.2f %%, %.2f ms an epoch\n", mean, ((double)clock() - begin) / CLOCKS_PER_SEC * 1e3 / EPOCHS / seeds);
    glia_backend_close(cpu), glia_graph_free(g), glia_data_free(papers), glia_data_free(links), glia_data_free(parts);
}
