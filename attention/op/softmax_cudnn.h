/* softmax_cudnn.h: asking cuDNN about a device that is not there. */
#ifndef ATTENTION_SOFTMAX_CUDNN_H
#define ATTENTION_SOFTMAX_CUDNN_H

#include "attention.h"

/* Does cuDNN have a fused kernel for this problem (for its backward pass alone, if problem->backward) on the device
   that properties describe, in cuDNN's own JSON? It compiles the kernel, too, if the driver's library is installed. How
   far it came is in *nodes, the operations that cuDNN took into the graph; false: the reason (REASON_SIZE bytes) says
   what it refused. */
bool softmax_cudnn_plan_for(const struct attention_problem *problem, const char *properties, int *nodes, char *reason);

#endif
