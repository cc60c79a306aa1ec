# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

"""The order in which a host tries the blocks of a pool (spec ipam-engine.md §10).

A pure function of host name, pool CIDR and block size: it starts at a block drawn from
Go's legacy generator, seeded with a hash of the host name, and goes round. Any order
would be safe; this one lets us predict and simulate what Calico does.
"""

from __future__ import annotations

import hashlib
import typing as t
from functools import lru_cache

from ansible_collections.calico_ops.ipam.plugins.module_utils._engine.cidr import Network

_LENGTH = 607
_SHORT_LAG = 273
_FEED = _LENGTH - _SHORT_LAG
_WORD = (1 << 64) - 1
_MODULUS = (1 << 31) - 1
_MULTIPLIER = 48271
_WARM_UP = 20
#: How far the generator ran before its state became the published constant table.
_TABLE_STEPS = 7_800_000_000_000
TABLE_SHA256 = "71ca56841e25ce194c2600faac906bb84e97d268a3bc453ff9f1a1410af1d228"


def host_seed(host: str) -> int:
    """32-bit FNV-1 hash of the host name."""
    value = 2166136261
    for byte in host.encode():
        value = value * 16777619 & 0xFFFFFFFF ^ byte
    return value


def block_order(host: str, pool: Network, block_size: int, now_ns: int) -> t.Iterator[Network]:
    """Every block of the pool, in the order ``host`` tries them; nothing when the pool is smaller than a block.

    ``now_ns`` seeds pools whose blocks are single addresses: there Calico's order is
    unpredictable on purpose.
    """
    count = pool.count(block_size)
    if count == 0:
        return
    start = start_block(now_ns if block_size == pool.bits else host_seed(host), count)
    step = 1 << (pool.bits - block_size)
    for position in range(start, count):
        yield Network(pool.version, pool.value + position * step, block_size)
    for position in range(start):
        yield Network(pool.version, pool.value + position * step, block_size)


@lru_cache(maxsize=16384)
def start_block(seed: int, count: int) -> int:
    """The first number below ``count`` that Go's legacy generator draws for ``seed``."""
    bits = count.bit_length()
    words = -(-bits // 64)
    top_mask = (1 << (bits % 64 or 64)) - 1
    draw = _generator(seed)
    while True:
        number = 0
        for word in range(words):
            value = next(draw) >> 31 & 0xFFFFFFFF
            value |= (next(draw) >> 31 & 0xFFFFFFFF) << 32
            if word == words - 1:
                value &= top_mask
            number |= value << 64 * word
        if number < count:
            return number


def _generator(seed: int) -> t.Iterator[int]:
    """64-bit values of the additive lagged Fibonacci generator.

    A draw touches two of the 607 words, and few draws are made, so each word is computed
    when it is first needed: the seeding sequence can be entered anywhere by a power.
    """
    table = constant_table()
    start = seed % _MODULUS or 89482311
    state: t.Dict[int, int] = {}

    def word(position: int) -> int:
        known = state.get(position)
        return table[position] ^ _seed_word(start, position, (40, 20, 0)) if known is None else known

    tap, feed = 0, _FEED
    while True:
        tap, feed = (tap - 1) % _LENGTH, (feed - 1) % _LENGTH
        state[feed] = value = word(feed) + word(tap) & _WORD
        yield value


def _seed_word(start: int, position: int, shifts: t.Tuple[int, int, int]) -> int:
    x = start * pow(_MULTIPLIER, _WARM_UP + 3 * position, _MODULUS) % _MODULUS
    result = 0
    for shift in shifts:
        x = x * _MULTIPLIER % _MODULUS
        result ^= x << shift
    return result & _WORD


@lru_cache(maxsize=1)
def constant_table() -> t.Tuple[int, ...]:
    """The 607 constants, derived rather than stored: the state reached from seed 1 after 7.8e12 steps.

    The state obeys y(j) = y(j-607) + y(j-273), so y(N+k) is x^N modulo x^607 = x^334 + 1
    applied to known values. Polynomials are multiplied as big integers.
    """
    # y(j) for j = -606 .. 0 lies at position (334 - j) mod 607 of the seeded state.
    values = [_seed_word(1, (_FEED - j) % _LENGTH, (20, 10, 0)) for j in range(1 - _LENGTH, 1)]
    for _more in range(_LENGTH - 1):
        values.append(values[-_LENGTH] + values[-_SHORT_LAG] & _WORD)
    power = _power_of_x(_TABLE_STEPS)
    # Sum over i of power[i] * values[k + i] is one coefficient of a product with power reversed.
    product = _multiply(power[::-1], values)
    table = [0] * _LENGTH
    for k in range(_LENGTH):
        table[(_FEED - (_TABLE_STEPS + k + 1 - _LENGTH)) % _LENGTH] = product[_LENGTH - 1 + k] & _WORD
    return tuple(table)


def table_digest() -> str:
    """SHA-256 of the table as big-endian 64-bit words; equals ``TABLE_SHA256``."""
    return hashlib.sha256(b"".join(word.to_bytes(8, "big") for word in constant_table())).hexdigest()


def _power_of_x(exponent: int) -> t.List[int]:
    result = [1] + [0] * (_LENGTH - 1)
    for bit in bin(exponent)[2:]:
        result = _reduce(_multiply(result, result))
        if bit == "1":
            result = _reduce([0, *result])
    return result


def _reduce(coefficients: t.List[int]) -> t.List[int]:
    """Modulo x^607 = x^334 + 1, coefficients modulo 2^64."""
    work = list(coefficients)
    for power in range(len(work) - 1, _LENGTH - 1, -1):
        work[power - _LENGTH] += work[power]
        work[power - _SHORT_LAG] += work[power]
    return [value & _WORD for value in work[:_LENGTH]] + [0] * (_LENGTH - len(work))


def _multiply(left: t.List[int], right: t.List[int]) -> t.List[int]:
    """Product of two polynomials, packed into integers with room for every sum (64 + 64 + 16 bits)."""
    width = 18
    a = int.from_bytes(b"".join(value.to_bytes(width, "little") for value in left), "little")
    b = int.from_bytes(b"".join(value.to_bytes(width, "little") for value in right), "little")
    length = len(left) + len(right) - 1
    packed = (a * b).to_bytes(width * (length + 1), "little")
    return [int.from_bytes(packed[i * width : i * width + width], "little") for i in range(length)]
