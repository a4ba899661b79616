"""Sizes, strides and views of a tensor."""

from harness import GroupedVariants, Statements


class MetadataAndViews(Statements):
    """What is told or made without touching an element: the cheapest calls that there are."""

    label = "Metadata and views"
    definitions = GroupedVariants(
        """
        # @setup
        x = torch.ones((4, 4))

        # @size
        x.size()[0]

        # @stride
        x.stride(0)

        # @as_strided
        torch.as_strided(x, (2, 3), (4, 1), 2)

        # @select
        x.select(1, 1)

        # @unsqueeze
        x.unsqueeze(0)

        # @view
        x.view(-1, 1)

        # @transpose
        x.t()

        # @reshape
        x.reshape((16, 1))
        """,
        """
        // @setup
        auto x = torch::ones({4, 4});

        // @size
        x.sizes()[0];

        // @stride
        x.stride(0);

        // @as_strided
        torch::as_strided(x, {2, 3}, {4, 1}, 2);

        // @select
        x.select(1, 1);

        // @unsqueeze
        x.unsqueeze(0);

        // @view
        x.view({-1, 1});

        // @transpose
        x.t();

        // @reshape
        x.reshape({16, 1});
        """,
    )
