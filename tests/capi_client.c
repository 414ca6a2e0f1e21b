/* A client of TensorFlow's C API: loads a SavedModel tagged "serve", feeds one float tensor, prints one float tensor.

   capi_client MODEL CONFIG INPUT OUTPUT ROWS COLUMNS VALUE...

   CONFIG is a serialized ConfigProto in hexadecimal, INPUT and OUTPUT are tensor names ("x:0").
   Values are read and printed as C99 hexadecimal floats, which lose nothing. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"

static void check(const TF_Status *status, const char *step) {
  if (TF_GetCode(status) != TF_OK) {
    fprintf(stderr, "%s: %s\n", step, TF_Message(status));
    exit(1);
  }
}

static TF_Output find(TF_Graph *graph, const char *tensor) {
  char name[1024];
  TF_Output output = {NULL, 0};
  snprintf(name, sizeof name, "%s", tensor);
  char *colon = strrchr(name, ':');
  if (colon != NULL) {
    output.index = atoi(colon + 1);
    *colon = '\0';
  }
  output.oper = TF_GraphOperationByName(graph, name);
  if (output.oper == NULL) {
    fprintf(stderr, "no operation %s\n", name);
    exit(1);
  }
  return output;
}

int main(int argc, char **argv) {
  if (argc < 7) return 2;
  const char *tags[] = {"serve"};
  unsigned char config[4096];
  size_t size = strlen(argv[2]) / 2;
  for (size_t i = 0; i < size && i < sizeof config; i++) sscanf(argv[2] + 2 * i, "%2hhx", &config[i]);

  TF_Status *status = TF_NewStatus();
  TF_Graph *graph = TF_NewGraph();
  TF_SessionOptions *options = TF_NewSessionOptions();
  TF_SetConfig(options, config, size, status);
  check(status, "TF_SetConfig");
  TF_Session *session = TF_LoadSessionFromSavedModel(options, NULL, argv[1], tags, 1, graph, NULL, status);
  check(status, "TF_LoadSessionFromSavedModel");

  TF_Output input = find(graph, argv[3]), output = find(graph, argv[4]);
  const int64_t shape[] = {atoll(argv[5]), atoll(argv[6])};
  const int count = (int)(shape[0] * shape[1]);
  if (argc != 7 + count) return 2;
  TF_Tensor *fed = TF_AllocateTensor(TF_FLOAT, shape, 2, count * sizeof(float));
  for (int i = 0; i < count; i++) ((float *)TF_TensorData(fed))[i] = strtof(argv[7 + i], NULL);

  TF_Tensor *fetched = NULL;
  TF_SessionRun(session, NULL, &input, &fed, 1, &output, &fetched, 1, NULL, 0, NULL, status);
  check(status, "TF_SessionRun");
  if (TF_TensorType(fetched) != TF_FLOAT) return 3;
  for (int i = 0; i < TF_NumDims(fetched); i++) printf("%lld ", (long long)TF_Dim(fetched, i));
  printf("\n");
  const float *values = (const float *)TF_TensorData(fetched);
  for (int64_t i = 0; i < TF_TensorElementCount(fetched); i++) printf("%a\n", values[i]);

  TF_DeleteTensor(fed);
  TF_DeleteTensor(fetched);
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteSessionOptions(options);
  TF_DeleteGraph(graph);
  TF_DeleteStatus(status);
  return 0;
}
