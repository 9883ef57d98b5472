package javaregex

// code is what an instruction does.
type code uint8

const (
	doRune   code = iota // one character of set
	doRunes              // min to max characters of set, as greed says
	doFork               // go on at the next, and if that fails at to
	doJump               // go on at to
	doOpen               // a group begins: the place goes to register
	doClose              // a group ends: register and the next are what it captured
	doLoop               // begin a round, or leave for to
	doRound              // count a round of the loop
	doReset              // no rounds yet
	doRepeat             // possessive: rounds of the next, each of which stays as it is, then to
	doAtomic             // the first match of the next, then to
	doLook               // the next matches here, or does not; then to
	doBack               // what a group captured
	doAssert             // a condition on the place
	doBreak              // \R
	doAccept             // the end of the program or of the part run on its own
)

// instruction is one step of a program. Which fields count depends on code.
type instruction struct {
	code     code
	greed    greed
	is       condition
	fold     folding
	behind   bool
	negate   bool
	to       int
	min, max int
	register int
	set      *class
}

// class is a set with a fast answer for ASCII.
type class struct {
	ascii [2]uint64
	set   runes
}

func newClass(set runes) *class {
	c := &class{set: set}
	for r := range rune(0x80) {
		if set.has(r) {
			c.ascii[r/64] |= 1 << (r % 64)
		}
	}
	return c
}

func (c *class) has(r rune) bool {
	if r < 0x80 {
		return c.ascii[r/64]>>(r%64)&1 == 1
	}
	return c.set.has(r)
}

// program is a pattern for the matcher that tries and backs up.
type program struct {
	code []instruction
	// registers hold for each group where it captured from and to and where it has begun
	// last, then for each loop the rounds and where the last began.
	registers int
	groups    int // group 0 included, which nothing refers to
}

// perGroup registers belong to each group: from, to, and where it opened last, which becomes
// from when it closes.
const (
	perGroup = 3
	opened   = 2
)

// assemble makes a program of a pattern, in time and size linear in the tree: repetitions are
// counted, not written out.
func assemble(tree *node, groups int) *program {
	p := &program{registers: perGroup * (groups + 1), groups: groups + 1}
	p.add(tree)
	p.emit(instruction{code: doAccept})
	return p
}

// emit appends an instruction and returns where it is.
func (p *program) emit(i instruction) int {
	p.code = append(p.code, i)
	return len(p.code) - 1
}

// here lets an earlier instruction go on at what comes next.
func (p *program) here(from int) { p.code[from].to = len(p.code) }

func (p *program) add(n *node) {
	switch n.shape {
	case oneOf:
		p.emit(instruction{code: doRune, set: newClass(n.set)})
	case sequence:
		for _, kid := range n.kids {
			p.add(kid)
		}
	case choice:
		p.addChoice(n)
	case repeat:
		p.addRepeat(n)
	case capture:
		p.emit(instruction{code: doOpen, register: perGroup*n.number + opened})
		p.add(n.kids[0])
		p.emit(instruction{code: doClose, register: perGroup * n.number})
	case look:
		p.addLook(n)
	case atomic:
		p.addAlone(n.kids[0], instruction{code: doAtomic})
	case back:
		p.emit(instruction{code: doBack, register: perGroup * n.number, fold: n.fold})
	case assertion:
		p.emit(instruction{code: doAssert, is: n.is})
	case lineBreak:
		p.emit(instruction{code: doBreak})
	}
}

// addChoice has a fork before each alternative but the last.
func (p *program) addChoice(n *node) {
	last := len(n.kids) - 1
	jumps := make([]int, last)
	for i, kid := range n.kids[:last] {
		fork := p.emit(instruction{code: doFork})
		p.add(kid)
		jumps[i] = p.emit(instruction{code: doJump})
		p.here(fork)
	}
	p.add(n.kids[last])
	for _, jump := range jumps {
		p.here(jump)
	}
}

// addAlone adds a part that is run on its own, by the instruction before it.
func (p *program) addAlone(n *node, by instruction) {
	at := p.emit(by)
	p.add(n)
	p.emit(instruction{code: doAccept})
	p.here(at)
}

func (p *program) addLook(n *node) {
	by := instruction{code: doLook, behind: n.behind, negate: n.negate}
	if n.behind {
		e := n.kids[0].measure()
		by.min, by.max = e.min, e.max
	}
	p.addAlone(n.kids[0], by)
}

// addRepeat has three forms: characters are counted at once, parts in which Java sees no
// choice stay as they first matched in each round, and others may change in all.
func (p *program) addRepeat(n *node) {
	kid := n.kids[0]
	switch {
	case kid.shape == oneOf:
		p.emit(instruction{code: doRunes, greed: n.greed, min: n.min, max: n.max, set: newClass(kid.set)})
		return
	case n.greed == possessive:
		p.addAlone(kid, instruction{code: doRepeat, min: n.min, max: n.max})
		return
	}
	reset := p.emit(instruction{code: doReset, register: p.registers})
	loop := p.emit(instruction{code: doLoop, register: p.registers, min: n.min, max: n.max, greed: n.greed})
	p.emit(instruction{code: doRound, register: p.registers})
	p.registers += 2
	p.addRound(kid, n.min == 0 && n.max == 1)
	p.emit(instruction{code: doJump, to: reset + 1})
	p.here(loop)
}

// addRound adds what a loop repeats. A group itself is restored when its round is undone; what
// it holds, if it stays as it first matched, is not.
func (p *program) addRound(kid *node, optional bool) {
	switch {
	case optional && kid.shape != lineBreak, !kid.measure().fixed:
		p.add(kid)
	case kid.shape == capture:
		p.emit(instruction{code: doOpen, register: perGroup*kid.number + opened})
		p.addAlone(kid.kids[0], instruction{code: doAtomic})
		p.emit(instruction{code: doClose, register: perGroup * kid.number})
	default:
		p.addAlone(kid, instruction{code: doAtomic})
	}
}
