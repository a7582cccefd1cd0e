#include "jobs/paragraph.h"

#include <stdio.h>
#include <string.h>

void cv_print_words(int at, int indent, int width, char *text)
{
    char *save = NULL;
    for (char *word = strtok_r(text, " ", &save); word;
         word = strtok_r(NULL, " ", &save)) {
        int n = (int)strlen(word);
        if (at > indent && at + 1 + n > width)
            at = printf("\n%*s", indent, "") - 1;
        at += printf("%s%s", at > indent ? " " : "", word);
    }
    printf("\n");
}
