#include "address.h"

static char *decimal(char *out, unsigned octet)
{
    if (octet >= 100)
        *out++ = (char)('0' + octet / 100);
    if (octet >= 10)
        *out++ = (char)('0' + octet / 10 % 10);
    *out++ = (char)('0' + octet % 10);
    return out;
}

static char *dotted(char *out, const uint8_t *p)
{
    for (int i = 0; i < 4; i++) {
        if (i)
            *out++ = '.';
        out = decimal(out, p[i]);
    }
    return out;
}

static char *hexadecimal(char *out, unsigned word)
{
    static const char digits[] = "0123456789abcdef";
    for (int shift = 12; shift >= 0; shift -= 4)
        if (word >> shift || !shift)
            *out++ = digits[word >> shift & 15];
    return out;
}

size_t ps_address_text(const uint8_t *address, int length, char *out)
{
    if (length == 4)
        return (size_t)(dotted(out, address) - out);
    unsigned words[8];
    int zeros = -1, run = 1; /* the longest run of zeros, of two at least; the first of several */
    for (int i = 0, begun = 0; i < 8; i++) {
        words[i] = (unsigned)address[2 * i] << 8 | address[2 * i + 1];
        if (words[i])
            begun = i + 1;
        else if (i + 1 - begun > run) {
            zeros = begun;
            run = i + 1 - begun;
        }
    }
    char *at = out;
    for (int i = 0; i < 8; i++) {
        if (i == zeros) {
            *at++ = ':';
            if (i + run == 8)
                *at++ = ':';
            i += run - 1;
            continue;
        }
        if (i)
            *at++ = ':';
        if (i == 6 && zeros == 0 && (run == 6 || (run == 5 && words[5] == 0xffff))) { /* an IPv4 address within */
            at = dotted(at, address + 12);
            break;
        }
        at = hexadecimal(at, words[i]);
    }
    return (size_t)(at - out);
}
