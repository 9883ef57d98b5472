package javaregex

import (
	"unicode/utf8"
)

// matcher runs a program on one text. A part run on its own, once it has matched, forgets its
// choices and with them how to undo what it captured: as in Java, what a lookahead captured
// stays captured even when what followed it is tried otherwise.
type matcher struct {
	program   *program
	text      string
	registers []int
	stack     []entry
	steps     int // left
}

// entry undoes a register, or is a choice not tried yet.
type entry struct {
	register int // to restore to at, or one of the choices below
	pc, at   int
	limit    int // of doRunes: the first place that is enough, or the characters left
}

const (
	choiceEntry = -1 // go on at pc
	countEntry  = -2 // another number of characters for the doRunes at pc
)

// anywhere lets a part end where it likes.
const anywhere = -1

// match tells whether the program matches all of text. Its time is at most proportional to
// limit, which is how many steps it may take; known is false if that was not enough.
func (p *program) match(text string, limit int) (matched, known bool) {
	m := &matcher{program: p, text: text, registers: make([]int, p.registers), steps: limit}
	for i := range p.groups {
		m.registers[perGroup*i] = -1
	}
	_, matched = m.run(0, 0, len(text))
	return matched, m.steps >= 0
}

// run executes from pc at a place in the text to the next doAccept, which must be at place to.
func (m *matcher) run(pc, at, to int) (ended int, ok bool) {
	base := len(m.stack)
	for {
		if m.steps--; m.steps < 0 {
			return 0, false
		}
		i := &m.program.code[pc]
		if i.code == doAccept && (to == anywhere || at == to) {
			m.stack = m.stack[:base]
			return at, true
		}
		if pc, at, ok = m.step(i, pc, at); ok {
			continue
		}
		if pc, at, ok = m.backUp(base); !ok {
			return 0, false
		}
	}
}

// step executes one instruction.
func (m *matcher) step(i *instruction, pc, at int) (next, place int, ok bool) {
	switch i.code {
	case doRune:
		r, size := m.after(at)
		return pc + 1, at + size, size > 0 && i.set.has(r)
	case doRunes:
		return m.characters(i, pc, at)
	case doFork:
		m.choose(i.to, at)
	case doJump:
		return i.to, at, true
	case doOpen:
		m.set(i.register, at)
	case doClose:
		m.set(i.register, m.registers[i.register+opened])
		m.set(i.register+1, at)
	case doReset:
		m.set(i.register, 0)
	case doRound:
		m.set(i.register, m.registers[i.register]+1)
		m.set(i.register+1, at)
	case doLoop:
		return m.loop(i, pc, at)
	case doRepeat:
		place, ok = m.rounds(i, pc, at)
		return i.to, place, ok
	case doAtomic:
		place, ok = m.run(pc+1, at, anywhere)
		return i.to, place, ok
	case doLook:
		return i.to, at, m.look(i, pc, at) != i.negate
	case doBack:
		place, ok = m.again(i, at)
		return pc + 1, place, ok
	case doAssert:
		return pc + 1, at, m.holds(i.is, at)
	case doBreak:
		return m.lineBreak(pc, at)
	default: // doAccept at the wrong place
		return 0, 0, false
	}
	return pc + 1, at, true
}

// after is the character at a place, of size 0 at the end.
func (m *matcher) after(at int) (rune, int) {
	if at < len(m.text) && m.text[at] < utf8.RuneSelf {
		return rune(m.text[at]), 1
	}
	return utf8.DecodeRuneInString(m.text[at:])
}

func (m *matcher) before(at int) (rune, int) { return utf8.DecodeLastRuneInString(m.text[:at]) }

// set changes a register, and back when the matcher backs up.
func (m *matcher) set(register, value int) {
	m.stack = append(m.stack, entry{register: register, at: m.registers[register]})
	m.registers[register] = value
}

// choose leaves a way to go on with when another has failed.
func (m *matcher) choose(pc, at int) {
	m.stack = append(m.stack, entry{register: choiceEntry, pc: pc, at: at})
}

// backUp undoes what was done since the last choice, and takes the other way there.
func (m *matcher) backUp(base int) (pc, at int, ok bool) {
	for len(m.stack) > base {
		e := m.stack[len(m.stack)-1]
		m.stack = m.stack[:len(m.stack)-1]
		if e.register >= 0 {
			m.registers[e.register] = e.at
			continue
		}
		if e.register == choiceEntry {
			return e.pc, e.at, true
		}
		if i := &m.program.code[e.pc]; i.greed == lazy {
			if at, ok = m.oneMore(i, e); ok {
				return e.pc + 1, at, true
			}
			continue
		}
		if e.at > e.limit {
			_, size := m.before(e.at)
			m.stack = append(m.stack, entry{countEntry, e.pc, e.at - size, e.limit})
		}
		return e.pc + 1, e.at, true
	}
	return 0, 0, false
}

// characters takes as many as it wants at first, and leaves the other numbers for later.
func (m *matcher) characters(i *instruction, pc, at int) (next, place int, ok bool) {
	count, enough := 0, at
	most := i.max
	if i.greed == lazy {
		most = i.min
	}
	for ; most == unlimited || count < most; count++ {
		r, size := m.after(at)
		if size == 0 || !i.set.has(r) {
			break
		}
		m.steps--
		if at += size; count+1 <= i.min {
			enough = at
		}
	}
	switch {
	case count < i.min:
		return 0, 0, false
	case i.greed == lazy:
		left := unlimited
		if i.max != unlimited {
			left = i.max - count
		}
		m.stack = append(m.stack, entry{countEntry, pc, at, left})
	case i.greed == greedy && at > enough:
		_, size := m.before(at)
		m.stack = append(m.stack, entry{countEntry, pc, at - size, enough})
	}
	return pc + 1, at, true
}

// oneMore takes one more character than were enough before.
func (m *matcher) oneMore(i *instruction, e entry) (at int, ok bool) {
	r, size := m.after(e.at)
	if e.limit == 0 || size == 0 || !i.set.has(r) {
		return 0, false
	}
	if e.limit != unlimited {
		e.limit--
	}
	e.at += size
	m.stack = append(m.stack, e)
	return e.at, true
}

// loop begins another round or leaves the loop. A round that consumed nothing is the last,
// however many there should be: more would consume nothing either.
func (m *matcher) loop(i *instruction, pc, at int) (next, place int, ok bool) {
	rounds := m.registers[i.register]
	switch {
	case rounds > 0 && at == m.registers[i.register+1]:
		return i.to, at, true
	case rounds < i.min:
		return pc + 1, at, true
	case i.max != unlimited && rounds >= i.max:
		return i.to, at, true
	case i.greed == lazy:
		m.choose(pc+1, at)
		return i.to, at, true
	default:
		m.choose(i.to, at)
		return pc + 1, at, true
	}
}

// rounds repeats what no other count is tried of.
func (m *matcher) rounds(i *instruction, pc, at int) (place int, ok bool) {
	for count := 0; i.max == unlimited || count < i.max; count++ {
		place, ok := m.run(pc+1, at, anywhere)
		if !ok {
			return at, count >= i.min
		}
		if place == at {
			break
		}
		at = place
	}
	return at, true
}

// look tells whether the part after pc matches at a place, or ends there.
func (m *matcher) look(i *instruction, pc, at int) bool {
	if !i.behind {
		_, ok := m.run(pc+1, at, anywhere)
		return ok
	}
	from := at
	for length := 0; length <= i.max; length++ {
		if length >= i.min {
			if _, ok := m.run(pc+1, from, at); ok {
				return true
			}
		}
		_, size := m.before(from)
		if size == 0 || m.steps < 0 {
			return false
		}
		from -= size
		m.steps--
	}
	return false
}

// lineBreak takes \r\n at first, and \r alone later.
func (m *matcher) lineBreak(pc, at int) (next, place int, ok bool) {
	r, size := m.after(at)
	if size == 0 || !isTerminator(r) && r != '\v' && r != '\f' {
		return 0, 0, false
	}
	at += size
	if second, _ := m.after(at); r == '\r' && second == '\n' {
		m.choose(pc+1, at)
		at++
	}
	return pc + 1, at, true
}
