package fleet

import (
	"strconv"
	"strings"
)

// Category is what a family of instance types is made for.
type Category string

// The categories of EC2.
const (
	CategoryGeneral     Category = "general"
	CategoryCompute     Category = "compute"
	CategoryMemory      Category = "memory"
	CategoryStorage     Category = "storage"
	CategoryAccelerated Category = "accelerated"
	CategoryHPC         Category = "hpc"
)

// Categories are all categories, in the order in which EC2 lists them.
func Categories() []Category {
	return []Category{CategoryGeneral, CategoryCompute, CategoryMemory, CategoryStorage, CategoryAccelerated, CategoryHPC}
}

// categories is the category of each series: of the letters that a family begins with.
var categories = map[string]Category{
	"m": CategoryGeneral, "t": CategoryGeneral, "a": CategoryGeneral, "mac": CategoryGeneral,
	"c": CategoryCompute,
	"r": CategoryMemory, "x": CategoryMemory, "z": CategoryMemory, "u": CategoryMemory, "cr": CategoryMemory,
	"i": CategoryStorage, "d": CategoryStorage, "h": CategoryStorage, "im": CategoryStorage, "is": CategoryStorage, "hs": CategoryStorage,
	"p": CategoryAccelerated, "g": CategoryAccelerated, "gr": CategoryAccelerated, "f": CategoryAccelerated,
	"inf": CategoryAccelerated, "trn": CategoryAccelerated, "dl": CategoryAccelerated, "vt": CategoryAccelerated, "cg": CategoryAccelerated,
	"hpc": CategoryHPC,
}

// Family is the family of a type: "m7i" of "m7i.large".
func (n TypeName) Family() string {
	family, _, _ := strings.Cut(string(n), ".")
	return family
}

// Category is what the family of the type is made for, and "" if that is not known.
func (n TypeName) Category() Category {
	family := n.Family()
	return categories[family[:letters(family)]]
}

// Generation is the number in the name of the family, 7 of "m7i.large" and 1 of
// "u-6tb1.metal"; 0 if there is none.
func (n TypeName) Generation() int64 {
	family := n.Family()
	digits := family[letters(family):]
	if strings.HasPrefix(digits, "-") { // the size stands before the generation: u-6tb1
		digits = digits[strings.LastIndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' })+1:]
	}
	end := 0
	for end < len(digits) && digits[end] >= '0' && digits[end] <= '9' {
		end++
	}
	generation, err := strconv.ParseInt(digits[:end], 10, 32)
	if err != nil {
		return 0
	}
	return generation
}

// letters is how many letters a name begins with.
func letters(name string) int {
	n := 0
	for n < len(name) && name[n] >= 'a' && name[n] <= 'z' {
		n++
	}
	return n
}

// WindowsFamily reads the family of Windows, such as WINDOWS_SERVER_2022_CORE, from the name
// of an image or of the parameter for it, as AWS names them:
// Windows_Server-2022-English-Core-ECS_Optimized, with a date or /image_id behind it or
// without. It is "" of any other name.
func WindowsFamily(name string) string {
	name = strings.TrimSuffix(name, "/image_id")
	parts := strings.Split(name[strings.LastIndexByte(name, '/')+1:], "-")
	const release, edition, enough = 1, 3, 4
	if len(parts) < enough || parts[0] != "Windows_Server" {
		return ""
	}
	return "WINDOWS_SERVER_" + parts[release] + "_" + strings.ToUpper(parts[edition])
}
