package example;

/** A handler whose class cannot be loaded: {@link Missing} is left out of the package. */
public class NeedsMissing extends Missing {
  public String handle(String event) {
    return event;
  }
}
