"""Eager operators on tiny tensors: all of their cost is getting there."""

from harness import GroupedStmts, GroupedVariants, Statements


class Empty(Statements):
    """Tensors made without being filled: allocation, dispatch of a factory, and its overloads in C++."""

    label = "Empty"
    definitions = {
        "no allocation": GroupedStmts("torch.empty(())", "torch::empty({0});"),
        "with allocation": GroupedStmts("torch.empty((1,))", "torch::empty({1});"),
        "overloads": GroupedVariants(
            cpp_block="""
                // @Setup
                auto options_empty = c10::TensorOptions();
                auto options_full = c10::TensorOptions().dtype(at::kFloat).device(at::kCPU);
                auto optional_float = std::make_optional(at::kFloat);

                // @TensorOptions overload
                at::empty({0}, options_empty);
                at::empty({0}, options_full);
                at::empty({0}, at::kFloat);

                // @Faithful overload
                at::empty({0}, std::nullopt, std::nullopt, std::nullopt, std::nullopt, std::nullopt);
                at::empty({0}, at::kFloat, std::nullopt, std::nullopt, std::nullopt, std::nullopt);
                at::empty({0}, optional_float, std::nullopt, std::nullopt, std::nullopt, std::nullopt);
            """
        ),
    }


class Reduction(Statements):
    """Many elements to few: another path through TensorIterator."""

    label = "Reduction"
    definitions = GroupedVariants(
        """
        # @setup
        x = torch.ones((4, 4))

        # @max
        x.max()

        # @sum
        x.sum()

        # @variance
        x.var(0)
        """,
        """
        // @setup
        auto x = torch::ones({4, 4});

        // @max
        x.max();

        // @sum
        x.sum();

        // @variance
        x.var(0);
        """,
    )


class InferenceMode(Statements):
    """A view, an operation in place and one on both kinds of tensors, while no version or view is tracked."""

    label = "InferenceMode"
    definitions = GroupedVariants(
        cpp_block="""
        // @setup
        auto s = torch::ones({3, 3});  // a normal tensor
        c10::InferenceMode guard;
        auto x = torch::ones({3, 3});  // an inference tensor

        // @View
        torch::Tensor y = x.view({9});

        // @Inplace
        torch::Tensor y = x.mul_(x);

        // @Mixed
        torch::Tensor y = x + s;
        """
    )
