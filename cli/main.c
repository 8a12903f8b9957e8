/* scry: the program. Finds the command and runs it. */
#include "scry/scry.h"

#include <stdio.h>

int main(void)
{
    printf("scry %s\n", scry_version());
    return 0;
}
