package org.drnet.bundle;

import java.net.URLDecoder;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * What a line of text asks for: {@code name<TAB>classA,classB<TAB>union|xor|mean<TAB>
 * threshold|kept|parameters<TAB>value<TAB>round_to}, class names percent-encoded.
 */
final class Request {
  final String name;
  private final String[] fields;

  Request(String line) {
    fields = line.split("\t", -1);
    if (fields.length != 6) {
      throw new IllegalArgumentException("expected six fields: " + line);
    }
    name = fields[0];
  }

  Extraction of(Bundle bundle) throws Exception {
    return bundle.extract(classes(fields[1]), rule(fields[2]), limit(fields[3], fields[4]),
        Integer.parseInt(fields[5]));
  }

  static List<String> classes(String text) throws Exception {
    List<String> names = new ArrayList<String>();
    for (String name : text.isEmpty() ? new String[0] : text.split(",", -1)) {
      // The decoder takes a plus for a blank, as forms have it.
      names.add(URLDecoder.decode(name.replace("+", "%2B"), "UTF-8"));
    }
    return names;
  }

  static Rule rule(String text) {
    return Rule.valueOf(text.toUpperCase(Locale.ROOT));
  }

  private static Limit limit(String kind, String value) {
    if (kind.equals("parameters")) {
      return Limit.maxParameters(Long.parseLong(value));
    }
    return kind.equals("kept") ? Limit.keptFraction(number(value)) : Limit.threshold(number(value));
  }

  /** A number as Java or Python writes it. */
  private static double number(String text) {
    String java = text.replace("inf", "Infinity").replace("nan", "NaN");
    return Double.parseDouble(java);
  }
}
