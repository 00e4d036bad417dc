"""From a torch module to a graph of its calls: `torch.fx` with values at hand, else `torch.export`.

Plain symbolic tracing gives up where a forward pass asks a tensor for its shape. Here every value
has a fake tensor beside it (its shape and type without numbers), so that code which branches on
shapes is followed for real; a graph is therefore for one size of batch. What fx cannot follow, such
as assignments to parts of a tensor, `torch.export` may. Control flow that depends on the numbers
themselves cannot be traced, and is said to be where it stands.
"""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
)
from torch.fx.proxy import Attribute, TraceError

from ecsim.core.errors import UserError
from ecsim.models.work import is_countable

_OWN = (str(Path(torch.__file__).parents[1]), str(Path(__file__)))


def trace(net: nn.Module, in_shape: Sequence[int], n: int) -> fx.GraphModule:
    """Give the calls of a module's forward pass for n samples, in evaluation mode.

    Every node has in ``meta["value"]`` what it gives, as fake tensors. Leaves are torch's own
    modules, spiking neurons, and what says its own cost (``own_macs``). A module with a method
    ``exits`` is traced through that: it gives the answers of all its exits.

    Raises
    ------
    UserError
        with module and line, when the pass cannot be traced.
    """
    net.eval()
    with torch.no_grad(), plain_attention():
        tracer = _Tracer(net, in_shape, n)
        try:
            graph = tracer.trace(net)
        except _data_dependent as error:
            raise UserError(tracer.told(error, "control flow depends on the values")) from error
        except UserError:
            raise
        except Exception as error:
            return _exported(net, in_shape, n, tracer.told(error, str(error)))
        return fx.GraphModule(net, graph)


_data_dependent = (TraceError, DataDependentOutputException, DynamicOutputShapeException)


class _Tracer(fx.Tracer):
    """Traces a module with fake values beside the proxies."""

    def __init__(self, net: nn.Module, in_shape: Sequence[int], n: int):
        super().__init__()
        self.traced_func_name = "exits" if hasattr(net, "exits") else "forward"
        self._mode = FakeTensorMode(allow_non_fake_inputs=True)
        like = next(net.parameters(), torch.empty(0))
        with self._mode:
            self._sample = torch.empty(n, *in_shape, dtype=like.dtype, device=like.device)
        self._is_evaluating = False
        self._modules: list[str] = []

    def told(self, error: Exception, why: str) -> str:
        """Say what could not be traced, in which module and line."""
        module = self._modules[-1] if self._modules else "the network itself"
        return f"cannot trace {module}{_line(error)}: {why}"

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return (
            super().is_leaf_module(m, module_qualified_name)
            or getattr(m, "is_spiking", False)
            or is_countable(m)
        )

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        if self._is_evaluating:  # inside a leaf
            return forward(*args, **kwargs)
        self._modules.append(f"{self.path_of_module(m)} ({type(m).__name__})")
        found = super().call_module(m, forward, args, kwargs)
        self._modules.pop()
        return found

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: Any) -> Any:
        if self._is_evaluating:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)

    def proxy(self, node: fx.Node) -> _Proxy:
        return _Proxy(node, self)

    def create_proxy(self, *args: Any, **kwargs: Any) -> Any:
        """Note a call and what it gives; a number or a shape is given as it is."""
        proxy = super().create_proxy(*args, **kwargs)
        value = self._value(proxy.node)
        if not any(True for _ in tensors(value)):
            self.graph.erase_node(proxy.node)
            return value
        proxy.node.meta["value"] = value
        return proxy

    def iter(self, obj: fx.Proxy) -> Iterator[Any]:
        value = obj.node.meta["value"]
        return iter([obj[i] for i in range(len(value))])  # type: ignore[index]

    def _value(self, node: fx.Node) -> Any:
        if node.op == "placeholder":
            return self._sample
        args = fx.map_arg(node.args, lambda n: n.meta["value"])
        kwargs = fx.map_arg(node.kwargs, lambda n: n.meta["value"])
        self._is_evaluating = True
        try:
            with self._mode:
                return call(self.root, node, args, kwargs)
        except _data_dependent:
            if node.op != "call_module" or not self._knows_itself(node):
                raise
            return self._by_zeros(node, args, kwargs)
        finally:
            self._is_evaluating = False

    def _knows_itself(self, node: fx.Node) -> bool:
        """Whether a leaf says that what it looks at are its own buffers, not what it is given."""
        return hasattr(self.root.get_submodule(str(node.target)), "value_bytes")

    def _by_zeros(self, node: fx.Node, args: Any, kwargs: Any) -> Any:
        """Let a leaf run on zeros, for the shape of what it gives."""
        real = torch.utils._pytree.tree_map(
            lambda x: torch.zeros(x.shape, dtype=x.dtype) if isinstance(x, Tensor) else x,
            (args, kwargs),
        )
        return self._mode.from_tensor(call(self.root, node, *real))


class _Proxy(fx.Proxy):
    """A value that knows its shape."""

    def __getattr__(self, k: str) -> Any:
        found = getattr(self.node.meta["value"], k)
        if callable(found):
            return Attribute(self, k)
        if isinstance(found, Tensor):
            return self.tracer.create_proxy("call_function", getattr, (self, k), {})
        return found

    def __len__(self) -> int:
        return len(self.node.meta["value"])

    def _number(self) -> Any:
        self.tracer.to_bool(self)

    __int__ = __float__ = __index__ = _number


def call(root: nn.Module, node: fx.Node, args: Any, kwargs: Any) -> Any:
    """Make the call that a node stands for."""
    if node.op == "get_attr":
        found: Any = root
        for name in str(node.target).split("."):
            found = getattr(found, name)
        return found
    if node.op == "call_module":
        return root.get_submodule(str(node.target))(*args, **kwargs)
    if node.op == "call_method":
        return getattr(args[0], str(node.target))(*args[1:], **kwargs)
    assert callable(node.target)
    return node.target(*args, **kwargs)


def tensors(value: Any) -> Iterator[Tensor]:
    """Give the tensors in a value: itself, or those in a tuple or list."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for each in value:
            yield from tensors(each)


def _exported(net: nn.Module, in_shape: Sequence[int], n: int, first: str) -> fx.GraphModule:
    """Trace by `torch.export` instead; its calls are those of torch's operators."""
    like = next(net.parameters(), torch.empty(0))
    sample = torch.zeros(n, *in_shape, dtype=like.dtype, device=like.device)
    if any(getattr(module, "is_spiking", False) for module in net.modules()):
        raise UserError(first)  # its spikes could not be told apart there
    whole: nn.Module = _Exits(net) if hasattr(net, "exits") else net
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch's own code
            exported = torch.export.export(whole, (sample,), strict=False)
            found = exported.run_decompositions({}).module()  # nothing is overwritten any more
    except Exception as error:
        second = str(error).strip().splitlines()[0]
        raise UserError(f"{first}; torch.export{_line(error)}: {second}") from error
    assert isinstance(found, fx.GraphModule)
    for node in list(found.graph.nodes):
        node.meta["value"] = node.meta.get("val")
        if node.op == "call_module":  # checks of the input's shape
            found.graph.erase_node(node)
    found.graph.lint()
    return found


class _Exits(nn.Module):
    """A net that, called, answers at all of its exits."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Any:
        return self.net.exits(x)  # type: ignore[operator]


def _line(error: BaseException) -> str:
    """Give the line of the network's own code at which an error arose."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if not f.filename.startswith(_OWN) and Path(f.filename).exists()]
    return f", {Path(own[-1].filename).name}:{own[-1].lineno}" if own else ""


@contextmanager
def plain_attention() -> Iterator[None]:
    """Switch off attention's fused path, which would hide what it does."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
