/* A library of ops for the tests: MigrateHalve, and MigrateUnmade, of which no device has a kernel.

   gcc -shared -fPIC halve.c -o halve.so
*/
#include <stddef.h>
#include <stdint.h>

/* What is used of tensorflow/c: ops.h is no C, and a C++ header takes a compiler 20 seconds. */
extern void *TF_NewStatus(void);
extern void TF_DeleteStatus(void *status);
extern int TF_GetCode(const void *status);
extern void TF_SetStatus(void *status, int code, const char *message);
extern void *TF_NewOpDefinitionBuilder(const char *name);
extern void TF_OpDefinitionBuilderAddInput(void *builder, const char *input);
extern void TF_OpDefinitionBuilderAddOutput(void *builder, const char *output);
extern void TF_OpDefinitionBuilderAddAttr(void *builder, const char *attr);
extern void TF_OpDefinitionBuilderSetIsStateful(void *builder, unsigned char is_stateful);
extern void TF_OpDefinitionBuilderSetShapeInferenceFunction(void *builder, void (*infer)(void *, void *));
extern void TF_ShapeInferenceContextSetUnknownShape(void *context, void *status);
extern void TF_RegisterOpDefinition(void *builder, void *status);
extern void *TF_NewKernelBuilder(const char *op, const char *device, void *(*create)(void *),
                                 void (*compute)(void *, void *), void (*remove)(void *));
extern void TF_RegisterKernelBuilder(const char *name, void *builder, void *status);
extern void TF_GetInput(void *context, int number, void **tensor, void *status);
extern void *TF_AllocateOutput(void *context, int number, int dtype, const int64_t *dimensions, int rank, size_t bytes,
                               void *status);
extern void TF_OpKernelContext_Failure(void *context, void *status);
extern int TF_NumDims(const void *tensor);
extern int64_t TF_Dim(const void *tensor, int number);
extern int64_t TF_TensorElementCount(const void *tensor);
extern size_t TF_TensorByteSize(const void *tensor);
extern void *TF_TensorData(const void *tensor);
extern void TF_DeleteTensor(void *tensor);

enum { TF_FLOAT = 1, TF_OK = 0, TF_INVALID_ARGUMENT = 3 };
enum { MOST_DIMENSIONS = 8 };

static char kernel;

static void *create(void *construction) {
  (void)construction;
  return &kernel;
}

static void compute(void *made, void *context) {
  void *status = TF_NewStatus();
  void *x = NULL, *y = NULL;
  int64_t dimensions[MOST_DIMENSIONS];
  (void)made;
  TF_GetInput(context, 0, &x, status);
  if (TF_GetCode(status) == TF_OK && TF_NumDims(x) <= MOST_DIMENSIONS) {
    for (int i = 0; i < TF_NumDims(x); ++i) dimensions[i] = TF_Dim(x, i);
    y = TF_AllocateOutput(context, 0, TF_FLOAT, dimensions, TF_NumDims(x), TF_TensorByteSize(x), status);
  }
  if (y != NULL) {
    for (int64_t i = 0; i < TF_TensorElementCount(x); ++i) {
      ((float *)TF_TensorData(y))[i] = ((float *)TF_TensorData(x))[i] / 2;
    }
    TF_DeleteTensor(y);
  } else {
    TF_SetStatus(status, TF_INVALID_ARGUMENT, "MigrateHalve wants a tensor of at most 8 dimensions");
    TF_OpKernelContext_Failure(context, status);
  }
  if (x != NULL) TF_DeleteTensor(x);
  TF_DeleteStatus(status);
}

static void remove(void *made) { (void)made; }

static void register_op(const char *name, const char *output, int is_stateful) {
  void *status = TF_NewStatus();
  void *builder = TF_NewOpDefinitionBuilder(name);
  TF_OpDefinitionBuilderAddInput(builder, "x: float");
  TF_OpDefinitionBuilderAddOutput(builder, output);
  if (is_stateful) {
    TF_OpDefinitionBuilderAddAttr(builder, "N: int >= 1");
    TF_OpDefinitionBuilderSetIsStateful(builder, 1);
  }
  TF_OpDefinitionBuilderSetShapeInferenceFunction(builder, &TF_ShapeInferenceContextSetUnknownShape);
  TF_RegisterOpDefinition(builder, status);
  TF_DeleteStatus(status);
}

__attribute__((constructor)) static void start(void) {
  void *status = TF_NewStatus();
  register_op("MigrateHalve", "y: float", 0);
  register_op("MigrateUnmade", "y: N * float", 1);
  TF_RegisterKernelBuilder("MigrateHalve", TF_NewKernelBuilder("MigrateHalve", "CPU", &create, &compute, &remove),
                           status);
  TF_DeleteStatus(status);
}
