import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/**
 * Prints what java.util.regex says of patterns: "java Table.java SEED COUNT [FILE]" takes the
 * patterns of FILE, one a line, and COUNT random ones.
 *
 * A line has a pattern, and "error" or some values, each with + if it matches and - if not,
 * all of them quoted and with tabs between.
 */
public class Table {
    static Random dice;
    static int groups;

    /** A pattern and a value that may match it. */
    record Case(String pattern, String value) {}

    static final String[] ATOMS = {"a", "b", "c", "ab", "A", "1", "-", "_", " ", ".", "\\.", "\\d", "\\D", "\\w", "\\W", "\\s", "\\S",
        "\\h", "\\H", "\\v", "\\V", "\\R", "\\t", "\\n", "\\r", "\\x41", "\\x{62}", "\\u0061", "\\0141", "\\cA", "\\e", "\\a", "\\f",
        "\\Qa.\\E", "\\Q*\\E", "^", "$", "\\A", "\\z", "\\Z", "\\G", "\\b", "\\B", "#", "k", "s", "\u00e9", "\u212a", "\u017f", "\u0301",
        "\\p{L}", "\\pN", "\\p{Lu}", "\\P{Ll}", "\\p{Alpha}", "\\p{Lower}", "\\p{Upper}", "\\p{Punct}", "\\p{Space}", "\\p{XDigit}", "\\p{Alnum}",
        "\\p{javaLowerCase}", "\\p{javaWhitespace}", "\\p{IsAlphabetic}", "\\p{IsLatin}", "\\p{sc=Grek}", "\\p{InBasicLatin}", "\\p{IsL}",
        "\\P{IsUppercase}", "\\p{gc=Lu}", "\\p{LC}", "\\p{L1}", "\\p{Graph}", "\\p{Print}", "\\p{Blank}", "\\p{Cntrl}", "\\p{Digit}",
        "\\p{IsPunctuation}", "\\p{IsWhite_Space}", "\\p{Cn}", "\\p{C}", "\\p{ASCII}", "\\p{IsDigit}", "\\p{javaLetterOrDigit}",
        "]", "}", ",", "&", "&&", "<", ">", ":", "=", "!", "\\E", "\\\\", "\\-", "\\ ", "\\#", "\ud83d\ude00", "\\ud83d\\ude00"};
    static final String[] VALUES = {"a", "b", "c", "A", "B", "1", "-", "_", " ", ".", "*", "\t", "\n", "\r", "\r\n", "\u000b", "\u0085", "\u2028",
        "k", "K", "\u212a", "s", "\u017f", "\u00e9", "\u00c9", "\u03b1", "\u0301", "a\u0301", "\u0663", "\u0378", "\ud83d\ude00", "\u00a0", "ab", "aba", "#", "&", "]", "}", "^", ""};
    static final String[] QUANTIFIERS = {"*", "+", "?", "{2}", "{1,2}", "{0,}", "{1,}", "{0}", "{2,3}", "*", "?"};
    static final String[] FLAGS = {"i", "d", "m", "s", "u", "x", "U", "iu", "ix", "dm", "ms", "-i", "i-s", "-x", "x-i", "-u", "-U", "md", "iU"};

    static String one(String... of) { return of[dice.nextInt(of.length)]; }

    static Case random(int depth) {
        if (depth <= 0) {
            return atom();
        }
        Case a = random(depth - 1), b = random(depth - 1);
        int before = groups;
        switch (dice.nextInt(14)) {
            case 0: case 1: return new Case(a.pattern + b.pattern, a.value + b.value);
            case 2: case 3: return new Case(a.pattern + "|" + b.pattern, dice.nextBoolean() ? a.value : b.value);
            case 4: case 5: return repeat("(?:" + a.pattern + ")", a.value);
            case 6: groups++; return repeat("(" + a.pattern + ")", a.value);
            case 7: groups++; return new Case("(" + a.pattern + ")" + b.pattern + "\\" + (1 + dice.nextInt(groups)), a.value + b.value + a.value);
            case 8: return new Case(one("(?=", "(?!") + a.pattern + ")" + b.pattern, dice.nextBoolean() ? a.value : b.value);
            case 9: return new Case(b.pattern + one("(?<=", "(?<!") + a.pattern + ")" + one("", "a", ".*"), b.value + one("", "a"));
            case 10: return new Case("(?>" + a.pattern + ")" + b.pattern, a.value + b.value);
            case 11: String f = one(FLAGS); return new Case(dice.nextBoolean() ? "(?" + f + ":" + a.pattern + ")" + b.pattern : "(?" + f + ")" + a.pattern + b.pattern, a.value + b.value);
            case 12: groups++; String name = "n" + groups; return new Case("(?<" + name + ">" + a.pattern + ")" + b.pattern + "\\k<" + one(name, name, "n1") + ">", a.value + b.value + a.value);
            default: return new Case(a.pattern + b.pattern, a.value + b.value);
        }
    }

    static Case repeat(String pattern, String value) {
        String quantifier = one(QUANTIFIERS), after = one("", "", "?", "+");
        return new Case(pattern + quantifier + after, value.repeat(dice.nextInt(4)));
    }

    static Case atom() {
        if (dice.nextInt(3) == 0) {
            String letters = one("a", "b", "ab", "ba", "c");
            return dice.nextInt(3) == 0 ? repeat(letters, letters) : new Case(letters, letters);
        }
        String pattern = dice.nextInt(3) == 0 ? charClass(2) : one(ATOMS);
        String value = one(VALUES);
        return dice.nextInt(3) == 0 ? repeat(pattern, value) : new Case(pattern, value);
    }

    static String charClass(int depth) {
        StringBuilder text = new StringBuilder(one("[", "[", "[^"));
        for (int i = dice.nextInt(4); i >= 0; i--) {
            switch (dice.nextInt(9)) {
                case 0: if (depth > 0) { text.append(charClass(depth - 1)); break; }
                case 1: text.append("&&"); break;
                case 2: text.append(one("a-c", "A-Z", "b-k", "1-9", "\u00e0-\u00ff", "\\x41-\\x5a", " -a", "\\t-\\r", "Z-\\x{61}")); break;
                case 3: text.append(one("-", "^", "&", "]", "-a", "a-", " ", "#", "\\-", "\\]", ",", ".", "$", "(", "|")); break;
                default: text.append(one(ATOMS));
            }
        }
        return text.append("]").toString();
    }

    /** One character more, less or other. */
    static String spoiled(String pattern) {
        String marks = "()[]{}*+?|^$\\.,-<>=!:&# aiQE012kx";
        int at = dice.nextInt(pattern.length() + 1);
        String mark = String.valueOf(marks.charAt(dice.nextInt(marks.length())));
        String rest = pattern.substring(Math.min(pattern.length(), at + dice.nextInt(2)));
        return pattern.substring(0, at) + (dice.nextInt(3) == 0 ? "" : mark) + rest;
    }

    static String quoted(String text) {
        StringBuilder out = new StringBuilder("\"");
        text.codePoints().forEach(c -> {
            if (c == '"' || c == '\\') {
                out.append('\\').append((char) c);
            } else if (c >= ' ' && c < 0x7f) {
                out.append((char) c);
            } else {
                out.append(String.format("\\U%08x", c));
            }
        });
        return out.append('"').toString();
    }

    static boolean isText(String text) {
        return text.codePoints().noneMatch(c -> c >= 0xd800 && c < 0xe000);
    }

    static void print(String text, Set<String> values) {
        if (!isText(text) || text.isEmpty()) {
            return;
        }
        Pattern pattern;
        try {
            pattern = Pattern.compile(text);
        } catch (PatternSyntaxException e) {
            System.out.println(quoted(text) + "\terror");
            return;
        } catch (RuntimeException e) {
            return; // a fault of Java's own
        }
        StringBuilder line = new StringBuilder(quoted(text));
        for (String value : values) {
            try {
                line.append(pattern.matcher(value).matches() ? "\t+" : "\t-").append(quoted(value));
            } catch (RuntimeException e) {
                return;
            }
        }
        System.out.println(line);
    }

    static Set<String> values(Case c) {
        Set<String> values = new LinkedHashSet<>();
        if (isText(c.value)) {
            values.add(c.value);
        }
        for (int i = 0; i < 4; i++) {
            values.add(one(VALUES) + one(VALUES) + one("", "", one(VALUES)));
        }
        values.add(one("", "a", "ab", "aa", "abab", "aab"));
        values.removeIf(v -> !isText(v));
        return values;
    }

    public static void main(String[] args) throws Exception {
        dice = new Random(Long.parseLong(args[0]));
        List<String> given = new ArrayList<>();
        if (args.length > 2) {
            given = java.nio.file.Files.readAllLines(java.nio.file.Path.of(args[2]));
        }
        for (String pattern : given) {
            Set<String> values = new LinkedHashSet<>(List.of(VALUES));
            values.addAll(List.of("aa", "aaa", "abc", "m7g.large", "t3.micro", "prod-1", "a\n", "a\r\n", "\r\n\n", "a]", "aa}", "K1", "aaaaaa", "abcabc"));
            print(pattern, values);
        }
        for (int i = 0; i < Integer.parseInt(args[1]); i++) {
            groups = 0;
            Case c = random(1 + dice.nextInt(3));
            print(dice.nextInt(6) == 0 ? spoiled(c.pattern) : c.pattern, values(c));
        }
    }
}
