# Copyright (c) 2026, calico_ops contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is private to the collection calico_ops.ipam.

# JSON tells true from 1, Python's isinstance() does not:
# pylint: disable=unidiomatic-typecheck

"""Validation of what makes pods, and of disruption budgets."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.calico_ops.ipam.plugins.module_utils._cluster.api import Object
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.field_errors import (
    forbidden_field,
    invalid_object,
    invalid_value,
    required,
    unsupported,
)
from ansible_collections.calico_ops.ipam.plugins.module_utils._twin.pod_rules import Causes, one_of, pod_spec

_PERCENT = re.compile(r"[0-9]+%")
_PERCENT_TEXT = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for "
    "validation is '[0-9]+%')"
)
_SELECTOR_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")
_STATEFUL_MUTABLE = frozenset(
    {
        "minReadySeconds",
        "ordinals",
        "persistentVolumeClaimRetentionPolicy",
        "replicas",
        "revisionHistoryLimit",
        "template",
        "updateStrategy",
    }
)
_STATEFUL_TEXT = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)


# ---- parts


def at_least_zero(spec: Object, keys: t.Iterable[str], path: str) -> Causes:
    for key in keys:
        value = spec.get(key)
        if type(value) is int and value < 0:
            yield invalid_value(f"{path}.{key}", value, "must be greater than or equal to 0")


def label_selector(selector: t.Any, path: str) -> Causes:
    if not isinstance(selector, dict):
        return
    for place, requirement in enumerate(selector.get("matchExpressions") or []):
        where = f"{path}.matchExpressions[{place}]"
        if not requirement.get("key"):
            yield invalid_value(f"{where}.key", "", "name part must be non-empty")
        operator, values = requirement.get("operator"), requirement.get("values") or []
        if operator not in _SELECTOR_OPERATORS:
            yield invalid_value(f"{where}.operator", operator, "not a valid selector operator")
        elif operator in ("In", "NotIn") and not values:
            yield required(f"{where}.values", "must be specified when `operator` is 'In' or 'NotIn'")
        elif operator in ("Exists", "DoesNotExist") and values:
            yield forbidden_field(
                f"{where}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            )


def selector_matches(selector: Object, labels: t.Mapping[str, str]) -> bool:
    """Whether a label selector matches; an empty one matches everything."""
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    for requirement in selector.get("matchExpressions") or []:
        key, operator, values = requirement.get("key"), requirement.get("operator"), requirement.get("values") or []
        good = {
            "In": labels.get(key) in values,
            "NotIn": key not in labels or labels[key] not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }
        if not good.get(operator, False):
            return False
    return True


def _labels(template: Object) -> Object:
    return (template.get("metadata") or {}).get("labels") or {}


def _selected_template(spec: Object, restart: tuple[str, ...] = ("Always",)) -> Causes:
    """Selector and template are there and fit each other."""
    selector, template = spec.get("selector"), spec.get("template")
    if not isinstance(selector, dict):
        yield required("spec.selector")
    elif not (selector.get("matchLabels") or selector.get("matchExpressions")):
        yield invalid_value("spec.selector", selector, "empty selector is invalid for deployment")
    bad_selector = list(label_selector(selector, "spec.selector"))
    yield from bad_selector
    if not isinstance(template, dict):
        yield required("spec.template")
        return
    if isinstance(selector, dict) and not bad_selector and not selector_matches(selector, _labels(template)):
        yield invalid_value(
            "spec.template.metadata.labels", _labels(template), "`selector` does not match template `labels`"
        )
    yield from _template(template, restart)


def _template(template: Object, restart: tuple[str, ...]) -> Causes:
    inner = template.get("spec") or {}
    yield from pod_spec(inner, "spec.template.spec")
    policy = inner.get("restartPolicy")
    if policy is not None and policy not in restart:
        yield unsupported("spec.template.spec.restartPolicy", policy, restart)


def _unchanged_selector(spec: Object, old: Object | None) -> Causes:
    if old is not None and spec.get("selector") != (old.get("spec") or {}).get("selector"):
        yield invalid_value("spec.selector", spec.get("selector"), "field is immutable")


def int_or_percent(value: t.Any, path: str) -> Causes:
    if type(value) is int and value < 0:
        yield invalid_value(path, value, "must be greater than or equal to 0")
    elif isinstance(value, str):
        if not _PERCENT.fullmatch(value):
            yield invalid_value(path, value, _PERCENT_TEXT)
        elif int(value[:-1]) > 100:
            yield invalid_value(path, value, "must not be greater than 100%")


def _is_zero(value: t.Any) -> bool:
    return value in (0, "0%")


# ---- kinds


def deployment(obj: Object, old: Object | None, subresource: str | None) -> Causes:
    spec = obj.get("spec") or {}
    yield from _selected_template(spec)
    yield from at_least_zero(spec, ("replicas", "minReadySeconds", "revisionHistoryLimit"), "spec")
    yield from _unchanged_selector(spec, old)
    deadline, ready = spec.get("progressDeadlineSeconds"), spec.get("minReadySeconds") or 0
    if type(deadline) is int and deadline <= ready:
        yield invalid_value("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")
    strategy = spec.get("strategy") or {}
    path = "spec.strategy"
    if strategy.get("type") == "Recreate":
        if "rollingUpdate" in strategy:
            yield forbidden_field(f"{path}.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")
    elif strategy.get("type") == "RollingUpdate":
        yield from _rolling(strategy.get("rollingUpdate") or {}, f"{path}.rollingUpdate")
    else:
        yield from one_of(strategy, "type", ("Recreate", "RollingUpdate"), path)


def _rolling(rolling: Object, path: str) -> Causes:
    surge, unavailable = rolling.get("maxSurge"), rolling.get("maxUnavailable")
    yield from int_or_percent(unavailable, f"{path}.maxUnavailable")
    if isinstance(surge, int):
        yield from int_or_percent(surge, f"{path}.maxSurge")
    elif isinstance(surge, str) and not _PERCENT.fullmatch(surge):
        yield invalid_value(f"{path}.maxSurge", surge, _PERCENT_TEXT)
    if _is_zero(surge) and _is_zero(unavailable):
        yield invalid_value(f"{path}.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0")


def replica_set(obj: Object, old: Object | None, subresource: str | None) -> Causes:
    spec = obj.get("spec") or {}
    yield from _selected_template(spec)
    yield from at_least_zero(spec, ("replicas", "minReadySeconds"), "spec")
    yield from _unchanged_selector(spec, old)


def daemon_set(obj: Object, old: Object | None, subresource: str | None) -> Causes:
    spec = obj.get("spec") or {}
    yield from _selected_template(spec)
    yield from at_least_zero(spec, ("minReadySeconds", "revisionHistoryLimit"), "spec")
    yield from _unchanged_selector(spec, old)
    strategy = spec.get("updateStrategy") or {}
    yield from one_of(strategy, "type", ("RollingUpdate", "OnDelete"), "spec.updateStrategy")
    rolling = strategy.get("rollingUpdate") or {}
    path = "spec.updateStrategy.rollingUpdate"
    if strategy.get("type") == "RollingUpdate":
        surge, unavailable = rolling.get("maxSurge"), rolling.get("maxUnavailable")
        yield from int_or_percent(unavailable, f"{path}.maxUnavailable")
        yield from int_or_percent(surge, f"{path}.maxSurge")
        if _is_zero(surge) and _is_zero(unavailable):
            yield required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0")
        elif not _is_zero(surge) and not _is_zero(unavailable):
            yield invalid_value(f"{path}.maxSurge", surge, "may not be set when maxUnavailable is non-zero")


def stateful_set(obj: Object, old: Object | None, subresource: str | None) -> Causes:
    spec = obj.get("spec") or {}
    if old is not None:
        before = old.get("spec") or {}
        changed = {key for key in {*spec, *before} - _STATEFUL_MUTABLE if spec.get(key) != before.get(key)}
        if changed:
            yield forbidden_field("spec", _STATEFUL_TEXT)
    yield from _selected_template(spec)
    yield from at_least_zero(spec, ("replicas", "minReadySeconds", "revisionHistoryLimit"), "spec")
    yield from one_of(spec, "podManagementPolicy", ("OrderedReady", "Parallel"), "spec")
    yield from one_of(spec.get("updateStrategy") or {}, "type", ("RollingUpdate", "OnDelete"), "spec.updateStrategy")


def replication_controller(obj: Object, old: Object | None, subresource: str | None) -> Causes:
    spec = obj.get("spec") or {}
    yield from at_least_zero(spec, ("replicas", "minReadySeconds"), "spec")
    selector, template = spec.get("selector"), spec.get("template")
    if not selector:
        yield required("spec.selector")
    if not isinstance(template, dict):
        yield required("spec.template")
        return
    if selector and any(_labels(template).get(key) != value for key, value in selector.items()):
        yield invalid_value(
            "spec.template.metadata.labels", _labels(template), "`selector` does not match template `labels`"
        )
    yield from _template(template, ("Always",))


def job(obj: Object, old: Object | None, subresource: str | None) -> Causes:
    spec = obj.get("spec") or {}
    yield from _job_spec(spec, "spec")
    if old is None:
        return
    before = old.get("spec") or {}
    for key in ("selector", "completionMode", "podFailurePolicy", "completions"):
        if spec.get(key) != before.get(key):
            yield invalid_value(f"spec.{key}", spec.get(key), "field is immutable")
    if spec.get("template") != before.get("template") and not before.get("suspend"):
        yield invalid_value("spec.template", spec.get("template"), "field is immutable")


def _job_spec(spec: Object, path: str) -> Causes:
    numbers = ("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished")
    yield from at_least_zero(spec, numbers, path)
    template = spec.get("template")
    if not isinstance(template, dict):
        yield required(f"{path}.template")
        return
    inner = template.get("spec") or {}
    yield from pod_spec(inner, f"{path}.template.spec")
    if inner.get("restartPolicy") not in ("OnFailure", "Never"):
        yield required(f"{path}.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"')


def cron_job(obj: Object, old: Object | None, subresource: str | None) -> Causes:
    spec = obj.get("spec") or {}
    schedule = spec.get("schedule")
    if not schedule:
        yield required("spec.schedule")
    elif not schedule.startswith("@") and len(schedule.split()) != 5:
        yield invalid_value(
            "spec.schedule", schedule, f"expected exactly 5 fields, found {len(schedule.split())}: [{schedule}]"
        )
    yield from one_of(spec, "concurrencyPolicy", ("Allow", "Forbid", "Replace"), "spec")
    yield from at_least_zero(spec, ("successfulJobsHistoryLimit", "failedJobsHistoryLimit"), "spec")
    yield from _job_spec((spec.get("jobTemplate") or {}).get("spec") or {}, "spec.jobTemplate.spec")


def disruption_budget(obj: Object, old: Object | None, subresource: str | None) -> Causes:
    spec = obj.get("spec") or {}
    if "minAvailable" in spec and "maxUnavailable" in spec:
        yield invalid_object("spec", "minAvailable and maxUnavailable cannot be both set")
    for key in ("minAvailable", "maxUnavailable"):
        yield from int_or_percent(spec.get(key), f"spec.{key}")
    yield from label_selector(spec.get("selector"), "spec.selector")
    yield from one_of(spec, "unhealthyPodEvictionPolicy", ("AlwaysAllow", "IfHealthyBudget"), "spec")


def autoscaler(obj: Object, old: Object | None, subresource: str | None) -> Causes:
    spec = obj.get("spec") or {}
    least, most = spec.get("minReplicas", 1), spec.get("maxReplicas", 0)
    if most < 1:
        yield invalid_value("spec.maxReplicas", most, "must be greater than 0")
    elif most < least:
        yield invalid_value("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`")
    target = spec.get("scaleTargetRef") or {}
    for key in ("kind", "name"):
        if not target.get(key):
            yield required(f"spec.scaleTargetRef.{key}")
