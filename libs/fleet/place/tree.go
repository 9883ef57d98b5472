package place

// tree is a tournament over nodes: every inner vertex knows the best of the leaves below
// it and how many are tied for best. Leaves are in the order of node IDs, so the leftmost
// of the tied ones is the lowest. Setting a leaf costs O(log n), the best is at hand.
type tree struct {
	nodes  []int32 // the node of each leaf
	stride int     // keys per leaf
	keys   []int64
	base   int     // position of the first leaf; a power of two
	win    []int32 // leaf that wins below a vertex
	ties   []int32 // leaves tied with it; 0 if none below is in the game
}

func newTree(nodes []int32, stride int) tree {
	t := tree{nodes: nodes, stride: stride, base: 1}
	for t.base < len(nodes) {
		t.base *= 2
	}
	t.keys = make([]int64, len(nodes)*stride)
	t.win = make([]int32, 2*t.base)
	t.ties = make([]int32, 2*t.base)
	return t
}

// enter puts a leaf into the game and returns its keys, to be set.
func (t *tree) enter(leaf int) []int64 {
	t.win[t.base+leaf] = int32(leaf)
	t.ties[t.base+leaf] = 1
	return t.keys[leaf*t.stride : (leaf+1)*t.stride]
}

// clear takes a leaf out of the game.
func (t *tree) clear(leaf int) { t.ties[t.base+leaf] = 0 }

func (t *tree) playAll() {
	for v := t.base - 1; v >= 1; v-- {
		t.match(v)
	}
}

// play settles the matches above a leaf.
func (t *tree) play(leaf int) {
	for v := (t.base + leaf) / 2; v >= 1; v /= 2 {
		t.match(v)
	}
}

func (t *tree) match(v int) {
	l, r := 2*v, 2*v+1
	switch {
	case t.ties[l] == 0:
		t.win[v], t.ties[v] = t.win[r], t.ties[r]
	case t.ties[r] == 0:
		t.win[v], t.ties[v] = t.win[l], t.ties[l]
	default:
		switch d := compareKeys(t.at(t.win[l]), t.at(t.win[r])); {
		case d < 0:
			t.win[v], t.ties[v] = t.win[l], t.ties[l]
		case d > 0:
			t.win[v], t.ties[v] = t.win[r], t.ties[r]
		default:
			t.win[v], t.ties[v] = t.win[l], t.ties[l]+t.ties[r]
		}
	}
}

func (t *tree) at(leaf int32) []int64 {
	return t.keys[int(leaf)*t.stride : (int(leaf)+1)*t.stride]
}

// size is how many leaves are tied for best.
func (t *tree) size() int { return int(t.ties[1]) }

// tied returns the node of the k-th of the leaves that are tied for best.
func (t *tree) tied(k int) int {
	v := 1
	best := t.at(t.win[1])
	for v < t.base {
		l := 2 * v
		switch {
		case t.ties[l] == 0 || compareKeys(t.at(t.win[l]), best) != 0:
			v = l + 1
		case k < int(t.ties[l]):
			v = l
		default:
			k -= int(t.ties[l])
			v = l + 1
		}
	}
	return int(t.nodes[v-t.base])
}

// compareBest compares the best of two trees, neither of them empty.
func compareBest(a, b *tree) int { return compareKeys(a.at(a.win[1]), b.at(b.win[1])) }

func compareKeys(a, b []int64) int {
	for i := range a {
		switch {
		case a[i] < b[i]:
			return -1
		case a[i] > b[i]:
			return 1
		}
	}
	return 0
}
