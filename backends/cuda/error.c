/* From the CUDA runtime's errors to statuses with a reason. */
#include "cuda.h"

/* Errors that mean something other than a call that the runtime should have taken. Those of a lost device are sticky:
 * every later call gives them again. */
static const struct code {
    cudaError_t code;
    scry_status status;
} codes[] = {
    {cudaErrorMemoryAllocation, SCRY_OUT_OF_MEMORY},
    {cudaErrorInitializationError, SCRY_NO_DEVICE},
    {cudaErrorStubLibrary, SCRY_NO_DEVICE},
    {cudaErrorInsufficientDriver, SCRY_NO_DEVICE},
    {cudaErrorDevicesUnavailable, SCRY_NO_DEVICE},
    {cudaErrorNoDevice, SCRY_NO_DEVICE},
    {cudaErrorInvalidDevice, SCRY_NO_DEVICE},
    {cudaErrorNoKernelImageForDevice, SCRY_NO_DEVICE},
    {cudaErrorOperatingSystem, SCRY_NO_DEVICE},
    {cudaErrorSystemNotReady, SCRY_NO_DEVICE},
    {cudaErrorSystemDriverMismatch, SCRY_NO_DEVICE},
    {cudaErrorCompatNotSupportedOnDevice, SCRY_NO_DEVICE},
    {cudaErrorCudartUnloading, SCRY_DEVICE_LOST},
    {cudaErrorECCUncorrectable, SCRY_DEVICE_LOST},
    {cudaErrorNvlinkUncorrectable, SCRY_DEVICE_LOST},
    {cudaErrorIllegalAddress, SCRY_DEVICE_LOST},
    {cudaErrorLaunchTimeout, SCRY_DEVICE_LOST},
    {cudaErrorContextIsDestroyed, SCRY_DEVICE_LOST},
    {cudaErrorAssert, SCRY_DEVICE_LOST},
    {cudaErrorHardwareStackError, SCRY_DEVICE_LOST},
    {cudaErrorIllegalInstruction, SCRY_DEVICE_LOST},
    {cudaErrorMisalignedAddress, SCRY_DEVICE_LOST},
    {cudaErrorInvalidAddressSpace, SCRY_DEVICE_LOST},
    {cudaErrorInvalidPc, SCRY_DEVICE_LOST},
    {cudaErrorLaunchFailure, SCRY_DEVICE_LOST},
    {cudaErrorMpsClientTerminated, SCRY_DEVICE_LOST},
    {cudaErrorExternalDevice, SCRY_DEVICE_LOST},
    {cudaErrorUnknown, SCRY_DEVICE_LOST},
};

scry_status scry__cuda_check(struct scry__cuda *cuda, cudaError_t code, const char *what)
{
    if (code == cudaSuccess) return SCRY_OK;
    scry_status status = SCRY_UNSUPPORTED;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i].code == code) status = codes[i].status;
    /* An error that is not sticky stays with the thread until it is asked for, by whoever comes next. */
    cudaGetLastError();
    if (cuda && status == SCRY_DEVICE_LOST) cuda->lost = true;
    return scry__cuda_host->fail(status, "cuda: %s: %s: %s", what, cudaGetErrorName(code), cudaGetErrorString(code));
}
