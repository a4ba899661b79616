"""Writing to parts of a tensor."""

from harness import GroupedVariants, Statements


class Indexing(Statements):
    """Writing through integers, and through what only advanced indexing takes; a scalar, and another's part."""

    label = "Indexing"
    definitions = GroupedVariants(
        """
        # @setup
        torch.manual_seed(66261034)
        x = torch.randn(1, 1, 1)
        y = torch.randn(1, 1, 1)

        # @Tensor-Scalar
        x[0] = 1
        x[0, 0] = 1
        x[0, 0, 0] = 1

        # @Tensor-Scalar (Advanced)
        x[...] = 1
        x[:] = 1
        x[None] = 1
        x[False] = 1
        x[True] = 1

        # @Tensor-Tensor
        x[0] = y[0]
        x[0, 0] = y[0, 0]
        x[0, 0, 0] = y[0, 0, 0]

        # @Tensor-Tensor (Advanced)
        x[...] = y[...]
        x[:] = y[:]
        x[None] = y[None]
        x[False] = y[False]
        x[True] = y[True]
        """,
        """
        // @setup
        using namespace torch::indexing;
        torch::manual_seed(66261034);
        auto x = torch::randn({1, 1, 1});
        auto y = torch::randn({1, 1, 1});

        // @Tensor-Scalar
        x.index_put_({0}, 1);
        x.index_put_({0, 0}, 1);
        x.index_put_({0, 0, 0}, 1);

        // @Tensor-Scalar (Advanced)
        x.index_put_({"..."}, 1);
        x.index_put_({Slice(None, None, None)}, 1);
        x.index_put_({None}, 1);
        x.index_put_({false}, 1);
        x.index_put_({true}, 1);

        // @Tensor-Tensor
        x.index_put_({0}, y.index({0}));
        x.index_put_({0, 0}, y.index({0, 0}));
        x.index_put_({0, 0, 0}, y.index({0, 0, 0}));

        // @Tensor-Tensor (Advanced)
        x.index_put_({"..."}, y.index({"..."}));
        x.index_put_({Slice(None, None, None)}, y.index({Slice(None, None, None)}));
        x.index_put_({None}, y.index({None}));
        x.index_put_({false}, y.index({false}));
        x.index_put_({true}, y.index({true}));
        """,
    )
