package javaregex

import "strings"

// letters of ASCII, and what POSIX makes of them.
var (
	lower  = span{'a', 'z'}
	upper  = span{'A', 'Z'}
	digits = span{'0', '9'}
)

// posix is a class of POSIX, within ASCII.
func posix(name string, anyCase bool) runes {
	switch name {
	case "Lower", "Upper":
		if anyCase {
			return setOf(upper, lower)
		}
		if name == "Lower" {
			return runes{lower}
		}
		return runes{upper}
	case "ASCII":
		return runes{{0, 0x7f}}
	case "Alpha":
		return setOf(upper, lower)
	case "Digit":
		return runes{digits}
	case "Alnum":
		return setOf(upper, lower, digits)
	case "Punct":
		return setOf(span{'!', '/'}, span{':', '@'}, span{'[', '`'}, span{'{', '~'})
	case "Graph":
		return runes{{'!', '~'}}
	case "Print":
		return runes{{' ', '~'}}
	case "Blank":
		return setOfRunes('\t', ' ')
	case "Cntrl":
		return setOf(span{0, 0x1f}, span{0x7f, 0x7f})
	case "XDigit":
		return setOf(digits, span{'A', 'F'}, span{'a', 'f'})
	case "Space":
		return setOf(span{'\t', '\r'}, span{' ', ' '})
	}
	return nil
}

// wideNames are the properties of Unicode that stand for classes of POSIX.
var wideNames = map[string]string{
	"ALPHA": "ALPHABETIC", "LOWER": "LOWERCASE", "UPPER": "UPPERCASE", "SPACE": "WHITE_SPACE", "PUNCT": "PUNCTUATION",
	"XDIGIT": "HEX_DIGIT", "CNTRL": "CONTROL",
	"ALNUM": "ALNUM", "DIGIT": "DIGIT", "BLANK": "BLANK", "GRAPH": "GRAPH", "PRINT": "PRINT",
}

// posixWide is a class of POSIX in all of Unicode, as the flag U asks for.
func posixWide(name string, anyCase bool) runes {
	if property, ok := wideNames[strings.ToUpper(name)]; ok {
		return binary(property, anyCase)
	}
	return nil
}

func lowercase() runes { return table("Ll", "Other_Lowercase") }
func uppercase() runes { return table("Lu", "Other_Uppercase") }

// anyLetterCase is what the three classes of letter case become where case does not count.
func anyLetterCase() runes { return lowercase().or(uppercase()).or(table("Lt")) }

// binary is a binary property of Unicode, by the names Java knows.
func binary(name string, anyCase bool) runes {
	switch name = strings.ToUpper(name); name {
	case "LOWERCASE", "UPPERCASE", "TITLECASE":
		return letterCase(name, anyCase)
	case "ALPHABETIC":
		return table("L", "Nl", "Other_Alphabetic")
	case "LETTER":
		return table("L")
	case "IDEOGRAPHIC":
		return table("Ideographic")
	case "WHITE_SPACE", "WHITESPACE":
		return table("White_Space")
	case "CONTROL":
		return table("Cc")
	case "PUNCTUATION":
		return table("P")
	case "HEX_DIGIT", "HEXDIGIT":
		return table("Nd", "Hex_Digit")
	case "ASSIGNED":
		return assigned()
	case "NONCHARACTER_CODE_POINT", "NONCHARACTERCODEPOINT":
		return table("Noncharacter_Code_Point")
	case "DIGIT":
		return table("Nd")
	case "ALNUM":
		return table("L", "Nl", "Other_Alphabetic", "Nd")
	case "BLANK":
		return table("Zs").or(setOfRunes('\t'))
	case "GRAPH":
		return graph()
	case "PRINT":
		return graph().or(table("Zs"))
	case "WORD":
		return table("L", "Nl", "Other_Alphabetic", "M", "Nd", "Pc", "Join_Control")
	case "JOIN_CONTROL", "JOINCONTROL":
		return table("Join_Control")
	}
	return nil
}

func graph() runes { return assigned().and(table("Z", "Cc", "Cs").not()) }

func letterCase(name string, anyCase bool) runes {
	switch {
	case anyCase:
		return anyLetterCase()
	case name == "LOWERCASE":
		return lowercase()
	case name == "UPPERCASE":
		return uppercase()
	default:
		return table("Lt")
	}
}

// ignorable are the characters Java ignores in identifiers.
func ignorable() runes {
	return table("Cf").or(setOf(span{0, 8}, span{0xe, 0x1b}, span{0x7f, 0x9f}))
}

// javaMethod is the class of a method of java.lang.Character.
func javaMethod(name string, anyCase bool) runes {
	switch name {
	case "javaLowerCase", "javaUpperCase", "javaTitleCase":
		return letterCase(strings.ToUpper(strings.TrimPrefix(name, "java")), anyCase)
	case "javaAlphabetic":
		return binary("ALPHABETIC", anyCase)
	case "javaIdeographic":
		return table("Ideographic")
	case "javaDigit":
		return table("Nd")
	case "javaDefined":
		return assigned()
	case "javaLetter":
		return table("L")
	case "javaLetterOrDigit":
		return table("L", "Nd")
	case "javaSpaceChar":
		return table("Z")
	case "javaWhitespace":
		noBreak := setOfRunes(0xa0, 0x2007, 0x202f)
		return table("Z").and(noBreak.not()).or(setOf(span{'\t', '\r'}, span{0x1c, 0x1f}))
	case "javaISOControl":
		return table("Cc")
	case "javaIdentifierIgnorable":
		return ignorable()
	case "javaJavaIdentifierStart":
		return table("L", "Nl", "Sc", "Pc")
	case "javaJavaIdentifierPart":
		return table("L", "Nl", "Sc", "Pc", "Nd", "Mc", "Mn").or(ignorable())
	case "javaUnicodeIdentifierStart":
		return table("L", "Nl", "Other_ID_Start")
	case "javaUnicodeIdentifierPart":
		return table("L", "Nl", "Other_ID_Start", "Pc", "Nd", "Mc", "Mn", "Other_ID_Continue").or(ignorable())
	}
	return nil
}
