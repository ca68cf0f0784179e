"""The tree is that of RFC 9162: known answers, its recursive definition, proofs that hold only where they must."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.merkle import EMPTY, InclusionProof, Tree, leaf_hash, node_hash, verify_inclusion

# Leaves and roots of the test vectors of certificate-transparency (merkletree/merkle_tree_test.cc).
VECTORS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = {
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


def defined(leaves: list[bytes]) -> bytes:
    """MTH of RFC 9162, 2.1.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(defined(leaves[:split]), defined(leaves[split:]))


def tree(leaves: list[bytes]) -> Tree:
    found = Tree()
    for item in leaves:
        found.add(leaf_hash(item))
    return found


@pytest.mark.parametrize(("size", "root"), ROOTS.items())
def test_known_answers(size: int, root: str) -> None:
    assert tree([bytes.fromhex(item) for item in VECTORS[:size]]).root.hex() == root


@given(st.lists(st.binary(max_size=3), max_size=70), st.integers(0, 70))
def test_the_root_is_the_defined_one_also_where_it_goes_on_from_its_peaks(leaves: list[bytes], cut: int) -> None:
    begun = tree(leaves[:cut])
    again = Tree(begun.size, begun.peaks)
    for item in leaves[cut:]:
        again.add(leaf_hash(item))
    assert again.root == tree(leaves).root == defined(leaves)


@given(st.integers(1, 70), st.data())
def test_a_proof_holds_for_its_leaf_alone(size: int, data: st.DataObject) -> None:
    leaves = [leaf_hash(bytes([n])) for n in range(size)]
    index = data.draw(st.integers(0, size - 1))
    whole, path = Tree(), InclusionProof(index, size)
    for leaf in leaves:
        whole.add(leaf)
        path.add(leaf)
    hashes = path.hashes
    assert verify_inclusion(whole.root, size, index, leaves[index], hashes)
    for other in range(size):
        assert verify_inclusion(whole.root, size, other, leaves[index], hashes) == (other == index)
        assert verify_inclusion(whole.root, size, index, leaves[other], hashes) == (other == index)
    assert not verify_inclusion(whole.root, size, size, leaves[index], hashes)
    assert not verify_inclusion(whole.root, size, index, leaves[index], [*hashes, EMPTY])
    assert not verify_inclusion(EMPTY, size, index, leaves[index], hashes)
    for at in range(len(hashes)):
        assert not verify_inclusion(whole.root, size, index, leaves[index], hashes[:at] + hashes[at + 1 :])


def test_a_node_does_not_pass_for_a_leaf() -> None:
    two = tree([b"a", b"b"])
    forged = leaf_hash(leaf_hash(b"a") + leaf_hash(b"b"))
    assert two.root != forged
    assert not verify_inclusion(two.root, 1, 0, forged, [])


@pytest.mark.parametrize("wrong", [(3, [EMPTY]), (0, [EMPTY]), (4, [])])
def test_a_tree_of_another_shape_is_refused(wrong: tuple[int, list[bytes]]) -> None:
    with pytest.raises(ValueError, match="peak"):
        Tree(*wrong)
    with pytest.raises(ValueError, match="leaf"):
        InclusionProof(wrong[0], wrong[0])
