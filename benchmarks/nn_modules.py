"""Modules and small training steps, eager and as TorchScript."""

from harness import GroupedModules, GroupedSetup, GroupedStmts, Statements


def ones(*sizes):
    """`x` of ones, in both languages."""
    listed = ", ".join(map(str, sizes))
    return GroupedSetup(f"x = torch.ones(({listed}))", f"auto x = torch::ones({{{listed}}});")


def module(constructor, setup, cpp_constructor=None, torchscript=True):
    """A module called with `x`."""
    return GroupedModules(
        f"model = torch.nn.{constructor}",
        f"auto model = torch::nn::{cpp_constructor or constructor};",
        setup,
        signature="f(x) -> y",
        torchscript=torchscript,
    )


TRIVIAL_2D, TRIVIAL_3D, TRIVIAL_4D = ones(4, 4), ones(4, 4, 4), ones(4, 4, 4, 4)

TRAINING = GroupedSetup(
    """
    x = torch.ones((1,))
    y = torch.ones((1,))
    w0 = torch.ones((1,), requires_grad=True)
    w1 = torch.ones((1,), requires_grad=True)
    w2 = torch.ones((2,), requires_grad=True)
    """,
    """
    auto x = torch::ones({1});
    auto y = torch::ones({1});
    auto w0 = torch::ones({1}).set_requires_grad(true);
    auto w1 = torch::ones({1}).set_requires_grad(true);
    auto w2 = torch::ones({2}).set_requires_grad(true);
    """,
)


class NNModules(Statements):
    """One forward of each common module on few elements: the call of a module, its hooks, its operator."""

    label = "nn Modules"
    definitions = {
        "BatchNorm2d": module("BatchNorm2d(4)", TRIVIAL_4D),
        "GroupNorm": module("GroupNorm(2, 4)", TRIVIAL_4D),
        "LayerNorm": module("LayerNorm(4)", TRIVIAL_4D, "LayerNorm(torch::nn::LayerNormOptions({4}))"),
        "Conv1d": module("Conv1d(4, 4, 1)", TRIVIAL_3D),
        "Conv2d": module("Conv2d(4, 4, 1)", TRIVIAL_4D),
        "MaxPool2d": module("MaxPool2d(2)", TRIVIAL_4D),
        "ReLU": module("ReLU()", TRIVIAL_2D),
        "Sigmoid": module("Sigmoid()", TRIVIAL_2D),
        "Linear": module("Linear(4, 2)", TRIVIAL_4D),
        "LSTM": module("LSTM(4, 2)", TRIVIAL_3D, torchscript=False),
    }


class Training(Statements):
    """A few operators that need gradients, without and with their backward, with one thread and two."""

    label = "training"
    definitions = {
        "simple": GroupedStmts(
            "a0 = torch.nn.functional.relu(x * w0)\ny = a0 * w1",
            "auto a0 = torch::nn::functional::relu(x * w0);\nauto y = a0 * w1;",
            TRAINING,
            signature="f(x, w0, w1) -> y",
            torchscript=True,
            autograd=True,
            num_threads=(1, 2),
        ),
        "ensemble": GroupedStmts(
            """
            a0 = torch.nn.functional.gelu(x * w0)
            a1 = torch.nn.functional.prelu(y, w1)
            z = torch.nn.functional.normalize(torch.cat([a0, a1]), p=2.0, dim=0).dot(w2)
            """,
            """
            auto a0 = torch::nn::functional::gelu(x * w0);
            auto a1 = torch::nn::functional::prelu(y, w1);
            auto z = torch::nn::functional::normalize(
                torch::cat({a0, a1}), torch::nn::functional::NormalizeFuncOptions().p(2).dim(0)).dot(w2);
            """,
            TRAINING,
            signature="f(x, y, w0, w1, w2) -> z",
            torchscript=True,
            autograd=True,
            num_threads=(1, 2),
        ),
    }
