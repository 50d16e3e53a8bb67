package example;

/** There when the package is compiled, not there when it runs. */
public class Missing {}
