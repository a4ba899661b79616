"""Arithmetic and data movement on tiny tensors."""

from harness import GroupedVariants, Statements


class Pointwise(Statements):
    """What most of a model's operators are: arithmetic through TensorIterator, copies and fills."""

    label = "Pointwise"
    definitions = {
        "Math": GroupedVariants(
            """
            # @setup
            torch.manual_seed(1381023)
            x = torch.rand((4, 4))
            y_float = torch.ones((4, 4))
            y_vector = torch.ones((4, 1))
            y_int = torch.ones((4, 4), dtype=torch.int32)

            # @add
            x += 1.0
            x += y_float
            x += y_vector
            x += y_int
            x + y_float
            torch.add(x, y_float)
            torch.add(x, y_float, out=x)

            # @multiply
            x *= 1.0
            x *= y_float
            x *= y_vector
            x *= y_int
            x * y_float
            torch.mul(x, y_float)
            torch.mul(x, y_float, out=x)

            # @equality
            x == y_float
            x == 1.0
            """,
            """
            // @setup
            torch::manual_seed(1381023);
            auto x = torch::rand({4, 4});
            auto y_float = torch::ones({4, 4});
            auto y_vector = torch::ones({4, 1});
            auto y_int = torch::ones({4, 4}, at::kInt);

            // @add
            x += 1;
            x += y_float;
            x += y_vector;
            x += y_int;
            x + y_float;
            torch::add(x, y_float);
            torch::add_out(/*out=*/x, x, y_float);

            // @multiply
            x *= 1;
            x *= y_float;
            x *= y_vector;
            x *= y_int;
            x * y_float;
            torch::mul(x, y_float);
            torch::mul_out(/*out=*/x, x, y_float);

            // @equality
            x == y_float;
            x == 1.0;
            """,
        ),
        "Data movement": GroupedVariants(
            """
            # @setup
            x = torch.ones((4, 4))
            y = torch.ones((4, 4))
            x_t = x.t()

            # @contiguous (trivial)
            x.contiguous()
            # @contiguous (non-trivial)
            x_t.contiguous()

            # @clone
            x.clone()

            # @copy_
            x.copy_(y)
            # @zero_
            x.zero_()

            # @RNG
            x.uniform_()
            """,
            """
            // @setup
            auto x = torch::ones({4, 4});
            auto y = torch::ones({4, 4});
            auto x_t = x.t();

            // @contiguous (trivial)
            x.contiguous();
            // @contiguous (non-trivial)
            x_t.contiguous();

            // @clone
            x.clone();

            // @copy_
            x.copy_(y);
            // @zero_
            x.zero_();

            // @RNG
            x.uniform_();
            """,
        ),
    }
